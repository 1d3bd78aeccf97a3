-- depends_on: {{ ref("int_usage_days") }} {{ ref("stg_usage__event_days") }}
{%- set who = "event_date, account_id, subscription_id, user_id" %}
{{ config(materialized="in_batches", batches="usage_batches", uncompressed=["account_id", "user_id", "session_id"]) }}
with events as (
    select {{ who }}, occurred_at, duration_seconds
    from {{ ref("stg_usage__events") }}
    where {{ batch_lacks("session_id") }} and session_id is null
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
    select {{ who }}, session_id, min(occurred_at) as started_at, max(occurred_at) as ended_at,
        count(*) as events, count(duration_seconds) as timed_events, sum(duration_seconds) as duration_seconds
    from {{ ref("stg_usage__events") }}
    where not {{ batch_lacks("session_id") }} or session_id is not null
    group by {{ who }}, session_id
    union all
    select {{ who }}, cast(null as varchar), min(occurred_at), max(occurred_at), count(*), count(duration_seconds), sum(duration_seconds)
    from numbered
    group by {{ who }}, session_number
),

-- the account is told at last, as there are fewer sessions than events
told as (
    select s.event_date,
        {{ account_of("s", "o") }} as account_id,
        s.subscription_id, s.user_id, s.session_id, s.started_at, s.ended_at,
        cast(s.events as bigint) as events,
        cast(s.timed_events as bigint) as timed_events,
        cast({{ whole_units("s.duration_seconds", 6) }} as bigint) as duration_microseconds
    from sessions s
    left join {{ subscribers() }} o on o.subscription_id = s.subscription_id
)

select *,
    account_id in (select account_id from {{ ref("int_accounts") }} where is_test) as is_test,
    {{ session_number() }} as session_number
from told
