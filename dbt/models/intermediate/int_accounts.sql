-- is_test comes from the newest snapshot that knows the account, and then holds for all time
select account_id, account_name, industry, region, company_size, owner, created_at,
    coalesce(is_test, false) as is_test,
    coalesce(community_touch, false) as community_touch
from (
    select *, row_number() over (partition by account_id order by extract_date desc) as newest
    from {{ ref("stg_crm__account_versions") }}
) as versions
where newest = 1
