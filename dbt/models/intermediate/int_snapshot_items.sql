with snapshot_days as (
    select measured_on as snapshot_on from {{ ref("int_periods") }}
    union
    select opening_on from {{ ref("int_periods") }}
    union
    select year_ago_on from {{ ref("int_periods") }}
)

select d.snapshot_on, i.account_id, i.plan, i.product, i.currency, i.monthly_amount, i.quantity
from {{ ref("int_subscription_items") }} i
join snapshot_days d on i.start_date <= d.snapshot_on and (i.end_date is null or d.snapshot_on < i.end_date)
where i.kind = 'paying'
