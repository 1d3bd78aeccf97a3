with deliveries as (
    select event_id, account_id, subscription_id, user_id, event_name, session_id, duration_seconds, quantity, is_deleted, occurred_at,
        cast(occurred_at as date) as event_date, extract_date
    from {{ lake("usage", "events", batched=true) }}
    where extract_date <= {{ as_of() }} and {{ happened_in_batch("cast(occurred_at as date)") }}
),

-- Within a delivery a key stands once: ingest saw to it. So only what reaches a date by another delivery than the main one of that
-- date, a few late and repeated events, can meet a row of the same key.
contested as (
    select distinct event_date, event_id
    from deliveries
    where event_id is not null and not {{ is_main_delivery("event_date", "extract_date") }}
),

identified as (
    select d.account_id, d.subscription_id, d.user_id, d.event_name, d.session_id, d.duration_seconds, d.occurred_at, d.event_date
    from deliveries d
    left join contested c on c.event_date = d.event_date and c.event_id = d.event_id
    where c.event_id is null and d.event_id is not null and not coalesce(d.is_deleted, false)
    union all
    select account_id, subscription_id, user_id, event_name, session_id, duration_seconds, occurred_at, event_date
    from (
        select d.*, row_number() over (
            partition by d.event_date, d.event_id order by d.extract_date desc) as newest
        from deliveries d
        join contested c on c.event_date = d.event_date and c.event_id = d.event_id
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
    case when e.account_id is null then e.subscription_id end as subscription_id,
    e.user_id,
    e.session_id,
    e.event_name,
    e.duration_seconds,
    e.occurred_at,
    e.event_date
from unique_events e
left join subscribers s on s.subscription_id = case when e.account_id is null then e.subscription_id end
