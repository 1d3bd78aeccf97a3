with events as (
    select account_id, user_id, session_id, duration_seconds, occurred_at
    from {{ ref("stg_usage__events") }}
    where event_date <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
),

gaps as (
    -- without a session id, more than 30 minutes of silence start a new session
    select *,
        case when {{ microseconds_between("lag(occurred_at) over (partition by account_id, user_id order by occurred_at)", "occurred_at") }}
            <= 30 * 60 * 1000000 then 0 else 1 end as is_start
    from events
    where session_id is null
),

numbered as (
    select account_id, user_id, duration_seconds, occurred_at,
        sum(is_start) over (partition by account_id, user_id order by occurred_at rows unbounded preceding) as session_number
    from gaps
),

sessions as (
    select account_id, user_id, min(occurred_at) as started_at, max(occurred_at) as ended_at,
        count(*) as events, count(duration_seconds) as timed_events, sum(duration_seconds) as duration_seconds
    from events
    where session_id is not null
    group by account_id, user_id, session_id
    union all
    select account_id, user_id, min(occurred_at), max(occurred_at), count(*), count(duration_seconds), sum(duration_seconds)
    from numbered
    group by account_id, user_id, session_number
)

select account_id, user_id, started_at, cast(events as bigint) as events,
    case when timed_events = events then cast({{ whole_units("duration_seconds", 6) }} as bigint)
        else {{ microseconds_between("started_at", "ended_at") }} end as length_microseconds
from sessions
