{#- One pass over the users' days, in which every row meets the user's previous and next one, perhaps of the same day: a user is new to a
    period where its previous active day lies before it, enters the rolling window of n days where that day lies more than n days back, and leaves
    it n days after an active day that none of the next n days follows. -#}
{%- set windows = [7, 30] -%}
{%- set lengths = {"month": 1, "quarter": 3, "year": 12} -%}
{{ config(materialized="incremental", incremental_strategy="append", pre_hook="{{ without_recomputed_days(this) }}") }}
{%- if is_incremental() %}
{%- set since = first_recomputed_day(this) %}
{%- endif %}
-- depends_on: {{ ref("int_usage_days") }} {{ ref("int_session_days") }}
with read_days as (
    select account_id, user_id, activity_date
    from {{ ref("int_user_days") }}
    {%- if since %}
    where activity_date >= {{ days_after(since, -30) }}
    union all
    -- of the days before, the last one of a user tells to which periods it is not new; one before the fiscal year is as good as none
    select account_id, user_id, max(activity_date)
    from {{ ref("int_user_days") }}
    where activity_date < {{ days_after(since, -30) }} and activity_date >= {{ fiscal_start(since, 12) }}
    group by account_id, user_id
    {%- endif %}
),

user_days as (
    select account_id, user_id, activity_date,
        lag(activity_date) over w as previous_date,
        lead(activity_date) over w as next_date
    from read_days
    window w as (partition by account_id, user_id order by activity_date)
),

happened as (
    select account_id, activity_date as day, user_id, previous_date, next_date, 0 as sessions
    from user_days
    {% if since -%}
    where activity_date >= {{ days_after(since, -30) }}
    {% endif -%}
    union all
    select account_id, cast(started_at as date), null, null, null, 1
    from {{ ref("int_sessions") }}
    {% if since -%}
    where started_at >= cast({{ since }} as timestamp)
    {%- endif %}
),

active as (
    select account_id, day,
        -- rows without a user make the account active and nobody else
        count(user_id) filter (where previous_date is distinct from day) as active_users
        {%- for grain, months in lengths.items() %},
        count(user_id) filter (where {{ fiscal_bucket("previous_date", months) }}
            is distinct from {{ fiscal_bucket("day", months) }}) as users_new_to_{{ grain }}
        {%- endfor %}
        {%- for days in windows %},
        count(user_id) filter (where previous_date is null
            or {{ days_between("previous_date", "day") }} > {{ days }}) as entering_{{ days }}d,
        count(user_id) filter (where next_date is null
            or {{ days_between("day", "next_date") }} > {{ days }}) as leaving_{{ days }}d
        {%- endfor %},
        cast(sum(sessions) as bigint) as sessions
    from happened
    group by account_id, day
)

select a.account_id, {{ days_after("a.day", "w.days") }} as day, w.days as window_left,
    cast(case when w.days = 0 then 1 else 0 end as bigint) as active_days,
    {%- for m in ["active_users", "users_new_to_month", "users_new_to_quarter", "users_new_to_year", "sessions"] %}
    case when w.days = 0 then a.{{ m }} else 0 end as {{ m }},
    {%- endfor %}
    {%- for days in windows %}
    case w.days when 0 then a.entering_{{ days }}d when {{ days }} then -a.leaving_{{ days }}d else 0 end as change_{{ days }}d,
    {%- endfor %}
    ({{ is_account_level() }}) as is_account_level
from active a
cross join (values (0){% for days in windows %}, ({{ days }}){% endfor %}) as w(days)
where (w.days = 0{% for days in windows %} or (w.days = {{ days }} and a.leaving_{{ days }}d > 0){% endfor %})
    {%- if since %}
    and {{ days_after("a.day", "w.days") }} >= {{ since }}
    {%- endif %}
