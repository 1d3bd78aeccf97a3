-- depends_on: {{ ref("int_recomputed_users") }}
{#- A session may reach over midnight. So what changes on a day may change any session of the users of that day. -#}
{{ config(materialized="incremental", incremental_strategy="append", pre_hook="{{ without_recomputed_users(this) }}") }}
{%- set days -%}
    (select d.account_id, d.user_id, d.session_id, d.started_at, d.ended_at, d.events, d.timed_events, d.duration_microseconds
    from {{ ref("int_session_days") }} d
    {% if is_incremental() -%}
    join {{ ref("int_recomputed_users") }} u on u.account_id = d.account_id and u.user_id is not distinct from d.user_id
    {% endif -%}
    where d.event_date <= {{ as_of() }} and not d.is_test) as days
{%- endset %}
{%- set session = number_of(["account_id", "user_id", "session_id"]) %}

-- without a session id, a session goes on over midnight, and over the events that other subscriptions of the account tell
with reached as (
    select *, max(ended_at) over (
        partition by account_id, user_id order by started_at, ended_at rows between unbounded preceding and 1 preceding) as reached_until
    from {{ days }}
    where session_id is null
),

numbered as (
    select *, sum(case when {{ microseconds_between("reached_until", "started_at") }} <= {{ session_gap() }} then 0 else 1 end) over (
        partition by account_id, user_id order by started_at, ended_at rows unbounded preceding) as session_number
    from reached
),

-- the few sessions of several days or subscriptions, so that the many others need not be grouped; others of the same number do no harm
parts as (
    select {{ session }} as session
    from {{ days }}
    where session_id is not null
    group by {{ session }}
    having count(*) > 1
),

sessions as (
    select account_id, user_id, started_at, ended_at, events, timed_events, duration_microseconds
    from {{ days }}
    where session_id is not null and not {{ is_among(session, "select session from parts") }}
    union all
    select account_id, user_id, min(started_at), max(ended_at), sum(events), sum(timed_events), sum(duration_microseconds)
    from {{ days }}
    where session_id is not null and {{ is_among(session, "select session from parts") }}
    group by account_id, user_id, session_id
    union all
    select account_id, user_id, min(started_at), max(ended_at), sum(events), sum(timed_events), sum(duration_microseconds)
    from numbered
    group by account_id, user_id, session_number
)

select account_id, user_id, started_at, ended_at, cast(events as bigint) as events,
    case when timed_events = events then cast(duration_microseconds as bigint)
        else {{ microseconds_between("started_at", "ended_at") }} end as length_microseconds
from sessions
