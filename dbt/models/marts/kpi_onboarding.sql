with signups as (
    select m.grain, m.period_start, u.account_id, u.is_eligible, u.is_onboarded, u.days_to_onboard,
        s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_signups") }} u
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("u.signed_up_on") }}
    join {{ ref("int_account_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = u.account_id
),

figures as (
    {{ by_segment("signups", "
        count(*) as new_accounts,
        count(*) filter (where is_eligible) as eligible_accounts,
        count(*) filter (where is_onboarded) as onboarded_accounts,
        median(days_to_onboard) filter (where is_onboarded) as days_to_onboard_median") }}
)

select
    g.grain, g.period_start, p.period_end, p.period_label, p.is_complete, g.segment_dimension, g.segment_value,
    cast(coalesce(f.new_accounts, 0) as bigint) as new_accounts,
    cast(coalesce(f.eligible_accounts, 0) as bigint) as eligible_accounts,
    cast(coalesce(f.onboarded_accounts, 0) as bigint) as onboarded_accounts,
    {% if var("onboarding").steps -%}
    {{ ratio("f.onboarded_accounts", "f.eligible_accounts") }}
    {%- else -%}
    cast(null as double)
    {%- endif %} as onboarding_completion_rate,
    cast(f.days_to_onboard_median as double) as days_to_onboard_median
from {{ dense_grid("figures") }} g
join {{ ref("int_periods") }} p on p.grain = g.grain and p.period_start = g.period_start
left join figures f
    on f.grain = g.grain and f.period_start = g.period_start
    and f.segment_dimension = g.segment_dimension and f.segment_value = g.segment_value
