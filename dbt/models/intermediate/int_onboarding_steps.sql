-- the day on which each account first completed each step, whether it is configured or not
with delivered as (
    select account_id, step, min(cast(completed_at as date)) as completed_on
    from {{ ref("stg_crm__onboarding_steps") }}
    where cast(completed_at as date) <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
    group by account_id, step
),

events as (
    select account_id, event_name, event_date,
        sum(events) over (partition by account_id, event_name order by event_date) as events_so_far
    from {{ ref("int_event_days") }}
    where event_date <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
)

select account_id, step, completed_on from delivered
{% for s in onboarding_event_steps() -%}
union all
select account_id, {{ text_literal(s.step) }}, min(event_date)
from events
where event_name = {{ text_literal(s.event_name) }} and events_so_far >= {{ s.needed }}
group by account_id
{% endfor %}
