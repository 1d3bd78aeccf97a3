with deliveries as (
    select *, cast(occurred_at as date) as event_date
    from {{ lake("usage", "events") }}
    where extract_date <= {{ as_of() }}
),

identified as (
    select account_id, subscription_id, user_id, event_name, session_id, duration_seconds, occurred_at, event_date
    from (
        select *, row_number() over (
            partition by event_date, event_id order by extract_date desc, _file desc, _row desc) as newest
        from deliveries
        where event_id is not null
    ) as versions
    where newest = 1 and not coalesce(is_deleted, false)
),

anonymous as (
    select distinct account_id, subscription_id, user_id, event_name, session_id, duration_seconds, occurred_at, event_date, quantity
    from deliveries
    where event_id is null and not coalesce(is_deleted, false)
),

unique_events as (
    select * from identified
    union all
    select account_id, subscription_id, user_id, event_name, session_id, duration_seconds, occurred_at, event_date from anonymous
),

subscribers as (
    select subscription_id, min(account_id) as account_id from {{ ref("stg_crm__subscriptions") }} group by subscription_id
)

select
    coalesce(e.account_id, s.account_id, '(unknown)') as account_id,
    e.user_id,
    e.session_id,
    e.event_name,
    e.duration_seconds,
    e.occurred_at,
    e.event_date
from unique_events e
left join subscribers s on e.account_id is null and s.subscription_id = e.subscription_id
