-- depends_on: {{ ref("int_usage_days") }} {{ ref("stg_usage__event_days") }}
{%- set who = "event_date, account_id, subscription_id, user_id" %}
{{ config(materialized="in_batches", batches="usage_batches") }}
with days as (
    select {{ who }}, session_id, min(occurred_at) as started_at, max(occurred_at) as ended_at,
        count(*) as events, count(duration_seconds) as timed_events, sum(duration_seconds) as duration_seconds,
        {{ records_of({"occurred_at": "occurred_at", "duration_seconds": "duration_seconds"}) }} filter (where session_id is null) as events_without_id
    from {{ ref("stg_usage__events") }}
    group by {{ who }}, session_id
),

events as (
    select {{ who }}, e.occurred_at, e.duration_seconds
    from (select {{ who }}, {{ each_of("events_without_id") }} as e from days where session_id is null) as listed
),

gaps as (
    -- without a session id, more than 30 minutes of silence start a new session
    select *,
        case when {{ microseconds_between("lag(occurred_at) over (partition by " ~ who ~ " order by occurred_at)", "occurred_at") }}
            <= {{ session_gap() }} then 0 else 1 end as is_start
    from events
),

numbered as (
    select *, sum(is_start) over (partition by {{ who }} order by occurred_at rows unbounded preceding) as session_number
    from gaps
),

sessions as (
    select {{ who }}, session_id, started_at, ended_at, events, timed_events, duration_seconds
    from days
    where session_id is not null
    union all
    select {{ who }}, cast(null as varchar), min(occurred_at), max(occurred_at), count(*), count(duration_seconds), sum(duration_seconds)
    from numbered
    group by {{ who }}, session_number
)

select event_date, account_id, subscription_id, user_id, session_id, started_at, ended_at,
    cast(events as bigint) as events,
    cast(timed_events as bigint) as timed_events,
    cast({{ whole_units("duration_seconds", 6) }} as bigint) as duration_microseconds,
    account_id in (select account_id from {{ ref("int_accounts") }} where is_test) as is_test
from sessions
