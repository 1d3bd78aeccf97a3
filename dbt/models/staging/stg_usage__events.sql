{{ config(pre_hook="{{ as_batch_of_nothing() }}", post_hook="{{ after_batch_of_nothing() }}") }}
{%- set told = "account_id, subscription_id, user_id, event_name, session_id, duration_seconds, occurred_at, event_date" %}
-- Rows of the lake that another one of the same event replaces. Within a delivery a key stands once: ingest saw to it. So only what reaches
-- a date by another delivery than the main one of that date, a few late and repeated events, can meet a row of the same key.
with late as (
    select event_date, event_id, extract_date, {{ main_delivery("event_date") }} as main_delivery
    from {{ delivered_events() }} as delivered
    where event_id is not null and not {{ is_main_delivery("event_date", "extract_date") }}
),

contested as (
    -- of a main delivery that came before, it need not be known whether it holds the event
    select event_date, event_id, extract_date from late
    union
    select event_date, event_id, main_delivery from late where main_delivery < extract_date
    union
    select event_date, event_id, extract_date
    from {{ delivered_events() }} as delivered
    where {{ batch_has_early_events() }} and {{ is_main_delivery("event_date", "extract_date") }}
        and {{ is_among("event_date, event_id", "select event_date, event_id from late") }}
),

superseded as (
    select event_date, event_id, extract_date
    from (select *, max(extract_date) over (partition by event_date, event_id) as newest from contested) as told
    where extract_date < newest
),

unique_events as (
    select {{ told }}
    from {{ delivered_events() }} as delivered
    where (not {{ batch_lacks("event_id") }} or event_id is not null) and not is_deleted
        and not {{ is_among("event_date, event_id, extract_date", "select event_date, event_id, extract_date from superseded") }}
    union all
    select {{ told }}
    from (
        select distinct {{ told }}, quantity
        from {{ delivered_events() }} as delivered
        where {{ batch_lacks("event_id") }} and event_id is null and not is_deleted
    ) as anonymous
)

select
    account_id,
    case when account_id is null then subscription_id end as subscription_id,
    user_id,
    session_id,
    event_name,
    duration_seconds,
    occurred_at,
    event_date
from unique_events
