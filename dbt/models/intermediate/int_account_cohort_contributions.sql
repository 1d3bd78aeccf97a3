-- what each account of the cohort of 12 months earlier adds to the 12-month figures, with its segments of that day
select s.grain, s.period_start, s.account_id,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier,
    cast(1 as bigint) as cohort_12m_customers,
    m.mrr_12m_ago as cohort_12m_mrr,
    m.closing_mrr as retained_12m_mrr,
    least(m.mrr_12m_ago, m.closing_mrr) as gross_retained_12m_mrr
from {{ ref("int_cohort_segments") }} s
join {{ ref("int_account_mrr") }} m
    on m.grain = s.grain and m.period_start = s.period_start and m.account_id = s.account_id
