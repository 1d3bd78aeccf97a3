-- what each account adds to the average lifetime of a period: each month of the trailing window in which it was a customer at opening,
-- with its segments of that month; without any paying subscription, the purchasers of the 12 months before the window
select w.grain, w.period_start, m.account_id, m.period_start as month_start,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier,
    cast(1 as bigint) as lifetime_dividend,
    cast(case when m.movement = 'churn' then 1 else 0 end as bigint) as lifetime_divisor
from {{ ref("int_trailing_windows") }} w
join {{ ref("int_account_mrr") }} m
    on m.grain = 'month' and m.opening_mrr > 0
    and {{ month_index("m.period_start") }} between w.window_first_month and w.window_last_month
join {{ ref("int_account_segments") }} s
    on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
union all
select w.grain, w.period_start, b.account_id, w.period_start,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier,
    cast(12 as bigint),
    cast(case when b.purchases = 0 then 1 else 0 end as bigint)
from {{ ref("int_trailing_windows") }} w
join {{ ref("int_account_purchases") }} b
    on b.grain = w.grain and b.period_start = w.period_start and b.prior_purchases > 0
join {{ ref("int_account_segments") }} s
    on s.grain = b.grain and s.period_start = b.period_start and s.account_id = b.account_id
where not w.has_subscriptions
