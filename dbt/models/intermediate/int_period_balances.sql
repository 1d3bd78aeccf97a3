{{ config(materialized="kept", outdated="is_outdated_period") }}
with roles as (
    select grain, period_start, measured_on, measured_on as snapshot_on, 'closing' as balance from {{ ref("int_periods") }}
    union all
    select grain, period_start, measured_on, opening_on, 'opening' from {{ ref("int_periods") }}
    union all
    select grain, period_start, measured_on, year_ago_on, 'year_ago' from {{ ref("int_periods") }}
)

select r.grain, r.period_start, i.account_id, r.balance, i.plan, i.product,
    {{ converted("i.monthly_amount", "i.currency", "now_rate.rate", "r.measured_on") }} as mrr,
    case when r.balance = 'opening'
        then {{ converted("i.monthly_amount", "i.currency", "then_rate.rate", "r.snapshot_on") }} end as published_mrr,
    i.quantity as seats
from roles r
join {{ ref("int_snapshot_items") }} i on i.snapshot_on = r.snapshot_on
left join {{ ref("int_period_rates") }} now_rate on now_rate.currency = i.currency and now_rate.rate_on = r.measured_on
left join {{ ref("int_period_rates") }} then_rate on then_rate.currency = i.currency and then_rate.rate_on = r.snapshot_on
where {{ is_outdated_period("r.grain", "r.period_start") }}
