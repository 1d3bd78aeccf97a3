-- depends_on: {{ ref("int_recomputed_sessions") }}
{#- A session may reach over midnight, and one with an id over any gap. So what changes on a day may change any part of the sessions that have
    one on that day, and any session without an id of the users of that day. -#}
{{ config(materialized="incremental", incremental_strategy="append", uncompressed=["account_id", "user_id"],
    pre_hook="{{ without_recomputed_sessions(this) }}") }}
{%- set counted = "d.event_date <= " ~ as_of() ~ " and not d.is_test" -%}
{%- set told = "d.account_id, d.user_id, d.started_at, d.ended_at, d.events, d.timed_events, d.duration_microseconds" %}
with parts as (
    select {{ told }}, d.session_id, d.session_number
    from {{ ref("int_session_days") }} d
    {% if is_incremental() -%}
    semi join {{ ref("int_recomputed_sessions") }} r on r.session_number = d.session_number
    {% endif -%}
    where d.session_number is not null and {{ counted }}
),

-- the few sessions of several days or subscriptions: the many others need not be grouped
divided as (
    select session_number from parts group by session_number having count(*) > 1
),

-- without a session id, a session goes on over midnight, and over the events that other subscriptions of the account tell
reached as (
    select {{ told }}, max(d.ended_at) over (
        partition by d.account_id, d.user_id order by d.started_at, d.ended_at rows between unbounded preceding and 1 preceding) as reached_until
    from {{ ref("int_session_days") }} d
    {% if is_incremental() -%}
    join {{ recomputed_without_id() }} r on r.account_id = d.account_id and r.user_id is not distinct from d.user_id
    {% endif -%}
    where d.session_id is null and {{ counted }}
),

numbered as (
    select *, sum(case when {{ microseconds_between("reached_until", "started_at") }} <= {{ session_gap() }} then 0 else 1 end) over (
        partition by account_id, user_id order by started_at, ended_at rows unbounded preceding) as place
    from reached
),

sessions as (
    select account_id, user_id, session_number, started_at, ended_at, events, timed_events, duration_microseconds
    from parts
    where not {{ is_among("session_number", "select session_number from divided") }}
    union all
    select account_id, user_id, session_number, min(started_at), max(ended_at), sum(events), sum(timed_events), sum(duration_microseconds)
    from parts
    where {{ is_among("session_number", "select session_number from divided") }}
    group by account_id, user_id, session_number, session_id
    union all
    select account_id, user_id, null, min(started_at), max(ended_at), sum(events), sum(timed_events), sum(duration_microseconds)
    from numbered
    group by account_id, user_id, place
)

select account_id, user_id, session_number, started_at, ended_at, cast(events as bigint) as events,
    case when timed_events = events then cast(duration_microseconds as bigint)
        else {{ microseconds_between("started_at", "ended_at") }} end as length_microseconds
from sessions
