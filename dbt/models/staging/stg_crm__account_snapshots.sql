select
    account_id,
    extract_date,
    account_name,
    industry,
    region,
    company_size,
    owner,
    coalesce(is_test, false) as is_test,
    coalesce(community_touch, false) as community_touch,
    created_at
from {{ lake("crm", "accounts") }}
where extract_date <= {{ as_of() }}
