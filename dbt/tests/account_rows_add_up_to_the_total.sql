-- Guards that the rows behind the numbers are all of them: MRR and customers of fct_account_periods, added up over the accounts,
-- are the published totals, in every period.
-- Does not claim it for users, sessions and tickets, which no published table of their own totals yet.
with accounts as (
    select grain, period_start,
        sum(opening_mrr) as opening_mrr, sum(opening_mrr - fx_impact_mrr) as published_opening_mrr, sum(closing_mrr) as closing_mrr,
        sum(mrr_12m_ago) as mrr_12m_ago,
        sum(case when is_customer_opening then 1 else 0 end) as opening_customers,
        sum(case when is_customer_closing then 1 else 0 end) as customers
    from {{ ref("fct_account_periods") }}
    group by grain, period_start
)

select m.grain, m.period_start
from {{ ref("kpi_mrr") }} m
left join {{ ref("kpi_nrr") }} n
    on n.grain = m.grain and n.period_start = m.period_start
    and n.segment_dimension = m.segment_dimension and n.segment_value = m.segment_value
left join accounts a on a.grain = m.grain and a.period_start = m.period_start
where m.segment_dimension = 'total'
    and (m.opening_mrr is distinct from coalesce(a.published_opening_mrr, 0)
        or m.closing_mrr is distinct from coalesce(a.closing_mrr, 0)
        or m.customers is distinct from coalesce(a.customers, 0)
        or n.opening_mrr is distinct from coalesce(a.opening_mrr, 0)
        or n.opening_customers is distinct from coalesce(a.opening_customers, 0)
        or n.cohort_12m_mrr is distinct from coalesce(a.mrr_12m_ago, 0))
