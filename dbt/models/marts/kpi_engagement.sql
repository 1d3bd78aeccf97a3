{%- set minute = 60 * 1000000 -%}
select
    e.grain, e.period_start, e.period_end, e.period_label, e.is_complete, e.segment_dimension, e.segment_value,
    e.active_users,
    {{ ratio("e.user_days", "e.days_elapsed") }} as active_users_daily_average,
    {{ ratio("e.user_weeks", "e.days_elapsed") }} as active_users_weekly_average,
    case when e.grain = 'month' then {{ ratio("e.user_days", "(e.days_elapsed * e.active_users)") }} end as stickiness,
    e.active_accounts,
    e.customers_in_period,
    e.active_customers,
    {{ ratio("e.active_customers", "e.customers_in_period") }} as active_account_rate,
    e.seats,
    {{ ratio("e.active_users", "e.seats") }} as seat_utilisation,
    e.sessions,
    {{ ratio("e.sessions", "e.active_users") }} as sessions_per_active_user,
    {{ ratio("s.length_microseconds", "(s.sessions * " ~ minute ~ ")") }} as session_minutes_average,
    cast(s.median_microseconds as double) / {{ minute }} as session_minutes_median,
    (select count(user_id) = 0 from {{ ref("int_sessions") }}) as is_account_level
from {{ ref("int_engagement_segments") }} e
left join {{ ref("int_session_segments") }} s
    on s.grain = e.grain and s.period_start = e.period_start
    and s.segment_dimension = e.segment_dimension and s.segment_value = e.segment_value
