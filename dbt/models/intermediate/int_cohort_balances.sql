-- what each cohort paid in its first month, at the rate of every month since: constant currency, as NRR over 12 months
with items as (
    select c.*, i.currency, i.monthly_amount,
        -- the reporting currency needs no rate, so its items need not be told apart
        case when i.currency <> {{ reporting_currency() }} then i.monthly_amount end as foreign_amount
    from {{ ref("int_cohort_members") }} c
    join {{ ref("int_periods") }} p on p.grain = 'month' and p.period_start = c.cohort_month
    join {{ ref("int_snapshot_items") }} i on i.snapshot_on = p.measured_on and i.account_id = c.account_id
),

amounts as (
    {{ by_segment("items", "
        count(*) as items,
        sum(monthly_amount) as amount", keys=["cohort_month", "currency", "foreign_amount"]) }}
)

select a.cohort_month, p.period_start, a.segment_dimension, a.segment_value,
    {{ money("sum(case when a.foreign_amount is null then a.amount
        else a.items * " ~ converted("a.foreign_amount", "a.currency", "r.rate", "p.measured_on") ~ " end)") }} as cohort_mrr
from amounts a
join {{ ref("int_periods") }} p on p.grain = 'month' and p.is_complete and p.period_start >= a.cohort_month
left join {{ ref("int_period_rates") }} r on r.currency = a.currency and r.rate_on = p.measured_on
group by a.cohort_month, p.period_start, a.segment_dimension, a.segment_value
