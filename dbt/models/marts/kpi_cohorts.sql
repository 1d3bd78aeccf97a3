-- in its own month every member pays: what is retained there is the whole cohort
select
    c.cohort_month,
    cast({{ month_index("p.period_start") }} - {{ month_index("c.cohort_month") }} as bigint) as months_since_start,
    c.segment_dimension,
    c.segment_value,
    p.period_end,
    cast(c.retained_customers as bigint) as cohort_customers,
    cast(coalesce(r.retained_customers, 0) as bigint) as retained_customers,
    {{ ratio("coalesce(r.retained_customers, 0)", "c.retained_customers") }} as customer_retention_rate,
    {{ money("c.retained_mrr") }} as cohort_mrr,
    {{ money("coalesce(r.retained_mrr, 0)") }} as retained_mrr,
    {{ ratio("coalesce(r.retained_mrr, 0)", "c.retained_mrr") }} as revenue_retention_rate
from {{ ref("int_cohort_retention") }} c
join {{ ref("int_periods") }} p on p.grain = 'month' and p.is_complete and p.period_start >= c.cohort_month
left join {{ ref("int_cohort_retention") }} r
    on r.cohort_month = c.cohort_month and r.period_start = p.period_start
    and r.segment_dimension = c.segment_dimension and r.segment_value = c.segment_value
where c.period_start = c.cohort_month
