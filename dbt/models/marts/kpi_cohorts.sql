with sizes as (
    {{ by_segment(ref("int_cohort_members"), "count(*) as cohort_customers", keys=["cohort_month"]) }}
),

retained_members as (
    select c.*, m.period_start, m.closing_mrr
    from {{ ref("int_cohort_members") }} c
    join {{ ref("int_account_mrr") }} m
        on m.grain = 'month' and m.account_id = c.account_id and m.period_start >= c.cohort_month and m.closing_mrr > 0
),

retained as (
    {{ by_segment("retained_members", "
        count(*) as retained_customers,
        sum(closing_mrr) as retained_mrr", keys=["cohort_month", "period_start"]) }}
)

select
    b.cohort_month,
    cast({{ month_index("b.period_start") }} - {{ month_index("b.cohort_month") }} as bigint) as months_since_start,
    b.segment_dimension,
    b.segment_value,
    p.period_end,
    cast(s.cohort_customers as bigint) as cohort_customers,
    cast(coalesce(r.retained_customers, 0) as bigint) as retained_customers,
    {{ ratio("coalesce(r.retained_customers, 0)", "s.cohort_customers") }} as customer_retention_rate,
    b.cohort_mrr,
    {{ money("coalesce(r.retained_mrr, 0)") }} as retained_mrr,
    {{ ratio("coalesce(r.retained_mrr, 0)", "b.cohort_mrr") }} as revenue_retention_rate
from {{ ref("int_cohort_balances") }} b
join {{ ref("int_periods") }} p on p.grain = 'month' and p.period_start = b.period_start
join sizes s
    on s.cohort_month = b.cohort_month and s.segment_dimension = b.segment_dimension and s.segment_value = b.segment_value
left join retained r
    on r.cohort_month = b.cohort_month and r.period_start = b.period_start
    and r.segment_dimension = b.segment_dimension and r.segment_value = b.segment_value
