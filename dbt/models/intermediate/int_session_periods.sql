with months as (
    select account_id, {{ month_index("started_at") }} as month_index, count(*) as sessions,
        {{ content_signature(["started_at", "length_microseconds"]) }} as signature
    from {{ ref("int_sessions") }}
    group by account_id, {{ month_index("started_at") }}
)

select p.grain, p.period_start, max({{ month_last_day("p.month_index") }}) as period_end,
    {{ content_signature(["m.account_id", "m.month_index", "m.sessions", "m.signature", "s.plan", "s.product", "s.industry", "s.region",
        "s.company_size", "s.owner", "s.touch_tier"]) }} as signature
from months m
join {{ ref("int_period_months") }} p on p.month_index = m.month_index
join {{ ref("int_account_segments") }} s
    on s.grain = p.grain and s.period_start = p.period_start and s.account_id = m.account_id
group by p.grain, p.period_start
