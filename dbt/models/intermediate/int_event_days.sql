-- depends_on: {{ ref("int_usage_days") }} {{ ref("stg_usage__event_days") }}
{{ config(materialized="in_batches", batches="event_batches") }}
{%- set names = onboarding_event_steps() | map(attribute="event_name") | unique | list %}
select event_date, account_id, event_name, cast(count(*) as bigint) as events
from {{ ref("stg_usage__events") }}
where {% if names %}event_name in ({% for name in names %}{{ text_literal(name) }}{{ ", " if not loop.last }}{% endfor %}){% else %}false{% endif %}
group by event_date, account_id, event_name
