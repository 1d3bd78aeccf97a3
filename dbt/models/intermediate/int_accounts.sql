-- is_test comes from the newest snapshot that knows the account, and then holds for all time
select account_id, account_name, industry, region, company_size, owner, is_test, community_touch, created_at
from (
    select *, row_number() over (partition by account_id order by extract_date desc) as newest
    from {{ ref("stg_crm__account_snapshots") }}
) as versions
where newest = 1
