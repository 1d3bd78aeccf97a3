{{ config(materialized="kept", outdated="is_outdated_period") }}
with balances as (
    select grain, period_start, account_id,
        coalesce(sum(mrr) filter (where balance = 'opening'), 0) as opening_mrr,
        coalesce(sum(published_mrr) filter (where balance = 'opening'), 0) as published_opening_mrr,
        coalesce(sum(mrr) filter (where balance = 'closing'), 0) as closing_mrr,
        coalesce(sum(mrr) filter (where balance = 'year_ago'), 0) as mrr_12m_ago,
        coalesce(sum(seats) filter (where balance = 'closing'), 0) as seats
    from {{ ref("int_period_balances") }}
    where {{ is_outdated_period() }}
    group by grain, period_start, account_id
),

population as (
    select grain, period_start, account_id from balances
    union
    select grain, period_start, account_id from {{ ref("int_paid_periods") }} where {{ is_outdated_period() }}
),

measured as (
    select
        k.grain,
        k.period_start,
        k.account_id,
        p.measured_on,
        p.opening_on,
        p.year_ago_on,
        {{ money("coalesce(b.opening_mrr, 0)") }} as opening_mrr,
        {{ money("coalesce(b.published_opening_mrr, 0)") }} as published_opening_mrr,
        {{ money("coalesce(b.closing_mrr, 0)") }} as closing_mrr,
        {{ money("coalesce(b.mrr_12m_ago, 0)") }} as mrr_12m_ago,
        cast(coalesce(b.seats, 0) as bigint) as seats,
        d.account_id is not null as has_paid_day,
        f.first_paid_date
    from population k
    join {{ ref("int_periods") }} p on p.grain = k.grain and p.period_start = k.period_start
    left join balances b on b.grain = k.grain and b.period_start = k.period_start and b.account_id = k.account_id
    left join {{ ref("int_paid_periods") }} d on d.grain = k.grain and d.period_start = k.period_start and d.account_id = k.account_id
    left join {{ ref("int_first_paid") }} f on f.account_id = k.account_id
)

select *,
    case
        when opening_mrr = 0 and closing_mrr > 0 and first_paid_date >= period_start then 'new'
        when opening_mrr = 0 and closing_mrr > 0 then 'reactivation'
        when opening_mrr > 0 and closing_mrr = 0 then 'churn'
        when closing_mrr > opening_mrr then 'expansion'
        when closing_mrr < opening_mrr then 'contraction' end as movement
from measured
