-- purchases in the trailing window and, where the lifetime comes from them, in the 12 months before it
{{ config(materialized="kept", outdated="is_outdated_period") }}
with months as (
    select account_id, {{ month_index("issued_on") }} as month_index, count(*) as purchases, sum(amount) as purchased_amount
    from {{ ref("int_invoices") }}
    where kind <> 'refund'
    group by account_id, {{ month_index("issued_on") }}
)

select w.grain, w.period_start, m.account_id,
    cast(coalesce(sum(m.purchases) filter (where m.month_index >= w.window_first_month), 0) as bigint) as purchases,
    {{ money("coalesce(sum(m.purchased_amount) filter (where m.month_index >= w.window_first_month), 0)") }} as purchased_amount,
    cast(coalesce(sum(m.purchases) filter (where m.month_index < w.window_first_month), 0) as bigint) as prior_purchases
from months m
join {{ ref("int_trailing_windows") }} w on m.month_index between w.purchases_from_month and w.window_last_month
where {{ is_outdated_period("w.grain", "w.period_start") }}
group by w.grain, w.period_start, m.account_id
