-- depends_on: {{ ref("int_usage_days") }} {{ ref("stg_usage__event_days") }}
{{ config(materialized="in_batches", batches="event_batches") }}
{%- set names = onboarding_event_steps() | map(attribute="event_name") | unique | list %}
with counts as (
    select event_date, account_id, subscription_id, event_name, count(*) as events
    from {{ ref("stg_usage__events") }}
    where {% if names %}event_name in ({% for name in names %}{{ text_literal(name) }}{{ ", " if not loop.last }}{% endfor %}){% else %}false{% endif %}
    group by event_date, account_id, subscription_id, event_name
)

select c.event_date, {{ account_of("c", "o") }} as account_id, c.event_name, cast(sum(c.events) as bigint) as events
from counts c
left join {{ subscribers() }} o on o.subscription_id = c.subscription_id
group by c.event_date, {{ account_of("c", "o") }}, c.event_name
