-- churn pooled over the trailing 12 complete months of each period, per segment
with months as (
    select {{ month_index("period_start") }} as month_index, segment_dimension, segment_value, opening_customers, churned_customers
    from {{ ref("int_revenue_segments") }}
    where grain = 'month' and is_complete
)

select r.grain, r.period_start, r.segment_dimension, r.segment_value,
    cast(count(m.month_index) as bigint) as months,
    cast(coalesce(sum(m.opening_customers), 0) as bigint) as opening_customers,
    cast(coalesce(sum(m.churned_customers), 0) as bigint) as churned_customers
from {{ ref("int_revenue_segments") }} r
join {{ ref("int_trailing_windows") }} w on w.grain = r.grain and w.period_start = r.period_start
left join months m
    on m.segment_dimension = r.segment_dimension and m.segment_value = r.segment_value
    and m.month_index between w.window_first_month and w.window_last_month
group by r.grain, r.period_start, r.segment_dimension, r.segment_value
