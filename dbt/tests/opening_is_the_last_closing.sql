-- Guards that the total's opening MRR and customers are the closing ones of the period before, as published, and 0 in a grain's
-- first period: a period that is missing, doubled or measured on another day shows here.
-- Does not claim it within a segment: accounts change segments between two periods.
with totals as (
    select m.grain, m.period_start, m.opening_mrr, r.opening_customers,
        coalesce(lag(m.closing_mrr) over (partition by m.grain order by m.period_start), 0) as last_closing_mrr,
        coalesce(lag(r.closing_customers) over (partition by m.grain order by m.period_start), 0) as last_closing_customers
    from {{ ref("kpi_mrr") }} m
    left join {{ ref("kpi_retention") }} r
        on r.grain = m.grain and r.period_start = m.period_start
        and r.segment_dimension = m.segment_dimension and r.segment_value = m.segment_value
    where m.segment_dimension = 'total'
)

select *
from totals
where opening_mrr <> last_closing_mrr or opening_customers is distinct from last_closing_customers
