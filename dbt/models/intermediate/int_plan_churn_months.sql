select {{ month_index("m.period_start") }} as month_index, p.plan,
    count(*) filter (where m.opening_mrr > 0) as opening_customers,
    count(*) filter (where m.movement = 'churn') as churned_customers
from {{ ref("int_account_mrr") }} m
join {{ ref("int_account_plans") }} p
    on p.grain = m.grain and p.period_start = m.period_start and p.account_id = m.account_id
where m.grain = 'month'
group by {{ month_index("m.period_start") }}, p.plan
