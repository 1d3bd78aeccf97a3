-- every period and segment of kpi_ltv, with its average lifetime in months as a fraction: from the customer churn pooled over the
-- trailing window or, without any paying subscription, from the purchasers of the 12 months before it that bought no more
with months as (
    select {{ month_index("period_start") }} as month_index, segment_dimension, segment_value, opening_customers, churned_customers
    from {{ ref("int_revenue_segments") }}
    where grain = 'month' and is_complete
),

subscribers as (
    select r.grain, r.period_start, r.segment_dimension, r.segment_value, w.months,
        coalesce(sum(m.opening_customers), 0) as opening_customers,
        coalesce(sum(m.churned_customers), 0) as churned_customers
    from {{ ref("int_revenue_segments") }} r
    join {{ ref("int_trailing_windows") }} w on w.grain = r.grain and w.period_start = r.period_start
    left join months m
        on m.segment_dimension = r.segment_dimension and m.segment_value = r.segment_value
        and m.month_index between w.window_first_month and w.window_last_month
    group by r.grain, r.period_start, r.segment_dimension, r.segment_value, w.months
),

purchasers as (
    select g.grain, g.period_start, g.segment_dimension, g.segment_value, w.months,
        12 * coalesce(p.prior_purchasers, 0) as lifetime_dividend,
        coalesce(p.lost_purchasers, 0) as lifetime_divisor
    from {{ dense_grid(ref("int_purchase_segments")) }} g
    join {{ ref("int_trailing_windows") }} w on w.grain = g.grain and w.period_start = g.period_start
    left join {{ ref("int_purchase_segments") }} p
        on p.grain = g.grain and p.period_start = g.period_start
        and p.segment_dimension = g.segment_dimension and p.segment_value = g.segment_value
    where not w.has_subscriptions
),

lifetimes as (
    select grain, period_start, segment_dimension, segment_value, months, opening_customers, churned_customers,
        opening_customers as lifetime_dividend, churned_customers as lifetime_divisor
    from subscribers
    union all
    select grain, period_start, segment_dimension, segment_value, months, 0, 0, lifetime_dividend, lifetime_divisor
    from purchasers
)

select grain, period_start, segment_dimension, segment_value,
    {% for c in ["months", "opening_customers", "churned_customers", "lifetime_dividend", "lifetime_divisor"] -%}
    cast({{ c }} as bigint) as {{ c }}{{ "," if not loop.last }}
    {% endfor -%}
from lifetimes
