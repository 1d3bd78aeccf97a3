-- the last 12 complete months of each period, from the first month with a customer on; without any paying subscription, from the
-- first purchase on, with the 12 months before them, whose purchasers tell how many stay
with first_months as (
    select {{ month_index("min(first_paid_date)") }} as first_month, count(*) > 0 as has_subscriptions from {{ ref("int_first_paid") }}
),

first_purchases as (
    select {{ month_index("min(issued_on)") }} as first_month from {{ ref("int_invoices") }} where kind <> 'refund'
),

bounds as (
    select p.grain, p.period_start, f.has_subscriptions,
        coalesce(f.first_month, i.first_month) as first_month,
        {{ last_complete_month("p.measured_on") }} as window_last_month
    from {{ ref("int_periods") }} p
    cross join first_months f
    cross join first_purchases i
),

windows as (
    select *, greatest(window_last_month - 11, first_month) as window_first_month from bounds
)

select grain, period_start, has_subscriptions, window_first_month, window_last_month,
    greatest(window_last_month - window_first_month + 1, 0) as months,
    case when has_subscriptions or window_last_month - window_first_month < 11 then window_first_month
        else window_first_month - 12 end as purchases_from_month
from windows
