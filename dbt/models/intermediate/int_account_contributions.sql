-- what each account adds to the additive columns of the marts, under their names; a view, as only `keizoku explain` reads it
{%- set keys = ["grain", "period_start", "account_id"] %}
with signups as (
    select p.grain, p.period_start, u.account_id, u.is_eligible, u.is_onboarded,
        case when u.is_onboarded then u.days_to_onboard end as days_to_onboard
    from {{ ref("int_signups") }} u
    join {{ ref("int_period_months") }} p on p.month_index = {{ month_index("u.signed_up_on") }}
),

trials as (
    select p.grain, p.period_start, t.account_id,
        count(*) as trials_ended,
        count(*) filter (where t.is_converted) as trials_converted
    from {{ ref("int_trials") }} t
    join {{ ref("int_period_months") }} p on p.month_index = {{ month_index("t.ended_on") }}
    group by p.grain, p.period_start, t.account_id
),

waits as (
    select p.grain, p.period_start, m.account_id,
        sum(m.waited_microseconds) filter (where m.moment = 'resolved') as resolution_microseconds,
        sum(m.waited_microseconds) filter (where m.moment = 'responded') as response_microseconds
    from {{ ref("int_ticket_moments") }} m
    join {{ ref("int_period_months") }} p on p.month_index = m.month_index
    group by p.grain, p.period_start, m.account_id
),

started as (
    select account_id, {{ month_index("started_at") }} as month_index, sum(length_microseconds) as session_microseconds
    from {{ ref("int_sessions") }}
    group by account_id, {{ month_index("started_at") }}
),

session_lengths as (
    select p.grain, p.period_start, x.account_id, sum(x.session_microseconds) as session_microseconds
    from started x
    join {{ ref("int_period_months") }} p on p.month_index = x.month_index
    group by p.grain, p.period_start, x.account_id
)

select s.grain, s.period_start, s.account_id,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier,
    {% for column, amount in [
        ("opening_mrr", "m.opening_mrr"),
        ("closing_mrr", "m.closing_mrr"),
        ("arr", "m.closing_mrr * 12"),
        ("new_mrr", "case when m.movement = 'new' then m.closing_mrr end"),
        ("reactivation_mrr", "case when m.movement = 'reactivation' then m.closing_mrr end"),
        ("expansion_mrr", "case when m.movement = 'expansion' then m.closing_mrr - m.opening_mrr end"),
        ("contraction_mrr", "case when m.movement = 'contraction' then m.opening_mrr - m.closing_mrr end"),
        ("churned_mrr", "case when m.movement = 'churn' then m.opening_mrr end"),
        ("retained_mrr", "case when m.opening_mrr > 0 then m.closing_mrr end"),
        ("gross_retained_mrr", "least(m.opening_mrr, m.closing_mrr)"),
        ("purchased_amount", "b.purchased_amount"),
        ("paid_total", "case when m.closing_mrr > 0 then r.paid_total end"),
    ] -%}
    {{ money("coalesce(" ~ amount ~ ", 0)") }} as {{ column }},
    {% endfor -%}
    {% for column, condition in [
        ("opening_customers", "m.opening_mrr > 0"),
        ("closing_customers", "m.closing_mrr > 0"),
        ("customers", "m.closing_mrr > 0"),
        ("new_customers", "m.movement = 'new'"),
        ("reactivated_customers", "m.movement = 'reactivation'"),
        ("churned_customers", "m.movement = 'churn'"),
        ("upsold_customers", "e.upsell_mrr > 0"),
        ("cross_sold_customers", "e.cross_sell_mrr > 0"),
        ("customers_in_period", "m.has_paid_day"),
        ("active_customers", "m.has_paid_day and u.active_days > 0"),
        ("purchasers", "b.purchases > 0"),
        ("eligible_accounts", "g.is_eligible"),
        ("onboarded_accounts", "g.is_onboarded"),
    ] -%}
    cast(case when {{ condition }} then 1 else 0 end as bigint) as {{ column }},
    {% endfor -%}
    {% for column in ["m.seats", "u.active_users", "u.user_days", "u.user_weeks", "u.sessions", "l.session_microseconds",
        "t.tickets_opened", "t.tickets_responded", "t.tickets_resolved", "t.ticket_backlog", "w.resolution_microseconds",
        "w.response_microseconds", "x.trials_ended", "x.trials_converted", "b.purchases", "g.days_to_onboard"] -%}
    cast(coalesce({{ column }}, 0) as bigint) as {{ column[2:] }}{{ "," if not loop.last }}
    {% endfor -%}
from {{ ref("int_account_segments") }} s
{% for relation, alias in [
    (ref("int_account_mrr"), "m"), (ref("int_account_expansion"), "e"), (ref("int_account_usage"), "u"),
    (ref("int_account_tickets"), "t"), (ref("int_account_purchases"), "b"), (ref("int_account_receipts"), "r"),
    ("session_lengths", "l"), ("waits", "w"), ("signups", "g"), ("trials", "x"),
] -%}
left join {{ relation }} {{ alias }}
    on {% for key in keys %}{{ alias }}.{{ key }} = s.{{ key }}{{ " and " if not loop.last }}{% endfor %}
{% endfor %}
