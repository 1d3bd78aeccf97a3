with signups as (
    select *
    from {{ ref("int_signups") }} u
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("u.signed_up_on") }}
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
),

figures as (
    {{ by_segment("signups", "
        count(*) as new_accounts,
        count(*) filter (where is_eligible) as eligible_accounts,
        count(*) filter (where is_onboarded) as onboarded_accounts,
        median(days_to_onboard) filter (where is_onboarded) as days_to_onboard_median") }}
)

select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    {{ count_column("new_accounts") }},
    {{ count_column("eligible_accounts") }},
    {{ count_column("onboarded_accounts") }},
    {% if var("onboarding").steps -%}
    {{ ratio("onboarded_accounts", "eligible_accounts") }}
    {%- else -%}
    cast(null as double)
    {%- endif %} as onboarding_completion_rate,
    cast(days_to_onboard_median as double) as days_to_onboard_median
from {{ on_dense_grid("figures") }}
