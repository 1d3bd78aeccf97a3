{#- One pass over the user-days, in which every user meets its previous and next active day: a user is new to a period where its
    previous active day lies before it, enters the rolling window of n days where that day lies more than n days back, and leaves
    it n days after an active day that none of the next n days follows. -#}
{%- set windows = [7, 30] -%}
{%- set lengths = {"month": 1, "quarter": 3, "year": 12} -%}
{%- set measures = ["active_days", "active_users", "users_new_to_month", "users_new_to_quarter", "users_new_to_year",
    "change_7d", "change_30d", "sessions"] -%}
{{ config(materialized="incremental", incremental_strategy="append", pre_hook="{{ without_recomputed_days(this) }}") }}
{%- if is_incremental() %}
{%- set since = first_recomputed_day(this) %}
{%- endif %}
-- depends_on: {{ ref("int_usage_days") }} {{ ref("int_session_days") }}
with user_days as (
    select account_id, user_id, activity_date,
        lag(activity_date) over w as previous_date,
        lead(activity_date) over w as next_date
    from {{ ref("int_user_days") }}
    {%- if since %}
    -- who was active neither in the fiscal year so far nor in the 30 days before is new to every period and window
    where activity_date >= least({{ days_after(since, -30) }}, {{ fiscal_year_start(since) }})
    {%- endif %}
    window w as (partition by account_id, user_id order by activity_date)
),

active as (
    select account_id, activity_date as day,
        -- rows without a user make the account active and nobody else
        count(user_id) as active_users
        {%- for grain, months in lengths.items() %},
        count(user_id) filter (where {{ fiscal_bucket("previous_date", months) }}
            is distinct from {{ fiscal_bucket("activity_date", months) }}) as users_new_to_{{ grain }}
        {%- endfor %}
        {%- for days in windows %},
        count(user_id) filter (where previous_date is null
            or {{ days_between("previous_date", "activity_date") }} > {{ days }}) as entering_{{ days }}d,
        count(user_id) filter (where next_date is null
            or {{ days_between("activity_date", "next_date") }} > {{ days }}) as leaving_{{ days }}d
        {%- endfor %}
    from user_days
    group by account_id, activity_date
),

happenings as (
    select account_id, day, 1 as active_days, active_users, users_new_to_month, users_new_to_quarter, users_new_to_year,
        entering_7d as change_7d, entering_30d as change_30d, 0 as sessions
    from active
    {% for days in windows -%}
    union all
    select account_id, {{ days_after("day", days) }}, 0, 0, 0, 0, 0,
        {% for d in windows %}{{ "-leaving_" ~ d ~ "d" if d == days else "0" }}, {% endfor %}0
    from active
    where leaving_{{ days }}d > 0
    {% endfor -%}
    union all
    select account_id, cast(started_at as date), 0, 0, 0, 0, 0, 0, 0, count(*)
    from {{ ref("int_sessions") }}
    {% if since -%}
    where started_at >= cast({{ since }} as timestamp)
    {% endif -%}
    group by account_id, cast(started_at as date)
)

select account_id, day
    {%- for m in measures %},
    cast(sum({{ m }}) as bigint) as {{ m }}
    {%- endfor %},
    ({{ is_account_level() }}) as is_account_level
from happenings
{% if since -%}
where day >= {{ since }}
{% endif -%}
group by account_id, day
