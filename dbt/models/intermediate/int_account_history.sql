with snapshots as (
    select account_id, extract_date,
        coalesce(industry, '(unknown)') as industry,
        coalesce(region, '(unknown)') as region,
        coalesce(company_size, '(unknown)') as company_size,
        coalesce(owner, '(unknown)') as owner
    from {{ ref("stg_crm__account_versions") }}
),

versions as (
    select *,
        row_number() over w as version,
        lag(industry) over w is distinct from industry or lag(region) over w is distinct from region
            or lag(company_size) over w is distinct from company_size or lag(owner) over w is distinct from owner as is_change
    from snapshots
    window w as (partition by account_id order by extract_date)
),

changes as (
    -- before the first snapshot, the first one holds
    select *, case when version = 1 then cast('0001-01-01' as date) else extract_date end as valid_from
    from versions
    where version = 1 or is_change
)

select account_id, industry, region, company_size, owner, valid_from,
    coalesce(lead(valid_from) over (partition by account_id order by valid_from), cast('9999-12-31' as date)) as valid_to
from changes
