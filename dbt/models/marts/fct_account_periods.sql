{{ config(materialized="kept", outdated="is_outdated_period") }}
with measured as (
    select s.*, m.opening_mrr, m.published_opening_mrr, m.closing_mrr, m.mrr_12m_ago, m.movement, m.has_paid_day,
        u.active_users, u.sessions, t.tickets_opened
    from {{ ref("int_account_segments") }} s
    left join {{ ref("int_account_mrr") }} m
        on m.grain = s.grain and m.period_start = s.period_start and m.account_id = s.account_id
    left join {{ ref("int_account_usage") }} u
        on u.grain = s.grain and u.period_start = s.period_start and u.account_id = s.account_id
    left join {{ ref("int_account_tickets") }} t
        on t.grain = s.grain and t.period_start = s.period_start and t.account_id = s.account_id
    where {{ is_outdated_period("s.grain", "s.period_start") }}
)

select
    account_id,
    grain,
    period_start,
    plan, product, industry, region, company_size, owner, touch_tier,
    {{ money("coalesce(opening_mrr, 0)") }} as opening_mrr,
    {{ money("coalesce(opening_mrr - published_opening_mrr, 0)") }} as fx_impact_mrr,
    {{ money("coalesce(closing_mrr, 0)") }} as closing_mrr,
    movement,
    {{ money("coalesce(case when movement is not null then closing_mrr - opening_mrr end, 0)") }} as movement_mrr,
    coalesce(opening_mrr > 0, false) as is_customer_opening,
    coalesce(closing_mrr > 0, false) as is_customer_closing,
    {{ money("coalesce(mrr_12m_ago, 0)") }} as mrr_12m_ago,
    cast(coalesce(active_users, 0) as bigint) as active_users,
    cast(coalesce(sessions, 0) as bigint) as sessions,
    cast(coalesce(tickets_opened, 0) as bigint) as tickets_opened
from measured
where opening_mrr > 0 or closing_mrr > 0 or mrr_12m_ago > 0 or published_opening_mrr > 0
    or active_users > 0 or sessions > 0 or tickets_opened > 0
