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
{%- if since %}
with recent as (
    select account_id, user_id, activity_date
    from {{ ref("int_user_days") }}
    where activity_date >= {{ days_after(since, -30) }}
),

-- users who were away for longer than the longest window, or never seen: the day on which they were seen last tells to which periods
-- they are not new, and one before the fiscal year is as good as none
came_back as (
    select account_id, user_id from recent group by account_id, user_id having min(activity_date) >= {{ since }}
),

read_days as (
    select account_id, user_id, activity_date from recent
    union all
    select d.account_id, d.user_id, max(d.activity_date)
    from {{ ref("int_user_days") }} d
    semi join came_back c on c.account_id = d.account_id and c.user_id = d.user_id
    where d.activity_date < {{ days_after(since, -30) }} and d.activity_date >= {{ fiscal_start(since, 12) }}
    group by d.account_id, d.user_id
),
{%- else %}
with read_days as (
    select account_id, user_id, activity_date
    from {{ ref("int_user_days") }}
),
{%- endif %}

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
