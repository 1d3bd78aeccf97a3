-- every account in the month of its first month-end as a customer, with its segments there
with first_months as (
    select m.account_id, min(m.period_start) as cohort_month
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_periods") }} p on p.grain = m.grain and p.period_start = m.period_start
    where m.grain = 'month' and m.closing_mrr > 0 and p.is_complete
    group by m.account_id
)

select f.cohort_month, f.account_id, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
from first_months f
join {{ ref("int_account_segments") }} s
    on s.grain = 'month' and s.period_start = f.cohort_month and s.account_id = f.account_id
