-- the day on which each account first completed each step, whether it is configured or not
-- Read only where an event is a step, which parsing with the default vars does not see: depends_on: {{ ref("stg_usage__events") }}
{%- set event_steps = onboarding_event_steps() %}
with delivered as (
    select account_id, step, min(cast(completed_at as date)) as completed_on
    from {{ ref("stg_crm__onboarding_steps") }}
    where cast(completed_at as date) <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
    group by account_id, step
)
{%- if event_steps %},

events as (
    select account_id, event_name, event_date,
        row_number() over (partition by account_id, event_name order by event_date) as position
    from {{ ref("stg_usage__events") }}
    where event_date <= {{ as_of() }}
        and event_name in ({% for s in event_steps %}{{ text_literal(s.event_name) }}{{ ", " if not loop.last }}{% endfor %})
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
)
{%- endif %}

select account_id, step, completed_on from delivered
{% for s in event_steps -%}
union all
select account_id, {{ text_literal(s.step) }}, event_date
from events
where event_name = {{ text_literal(s.event_name) }} and position = {{ s.needed }}
{% endfor %}
