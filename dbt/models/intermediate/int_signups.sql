-- every account that signed up, and how many days after that it had completed the required steps;
-- empty where neither the steps' extract nor a configured event tells anything
-- Read only where an event is a step, which parsing with the default vars does not see: depends_on: {{ ref("int_account_days") }}
{%- set onboarding = var("onboarding") %}
{%- set steps = onboarding.steps | unique | list %}
with signups as (
    select account_id, cast(created_at as date) as signed_up_on
    from {{ ref("int_accounts") }}
    where not is_test and cast(created_at as date) <= {{ as_of() }}
        and (exists (select 1 from {{ ref("int_onboarding_steps") }})
            {%- if onboarding_event_steps() %}
            or exists (select 1 from {{ ref("int_account_days") }})
            {%- endif %})
),

completions as (
    select s.account_id,
        count(*) as completed_steps,
        min(greatest({{ days_between("s.signed_up_on", "o.completed_on") }}, 0)) as first_days,
        max(greatest({{ days_between("s.signed_up_on", "o.completed_on") }}, 0)) as last_days
    from signups s
    join {{ ref("int_onboarding_steps") }} o on o.account_id = s.account_id
    where o.step in ({% for s in steps %}{{ text_literal(s) }}, {% endfor %}null)
    group by s.account_id
),

measured as (
    select s.account_id, s.signed_up_on,
        {{ days_after("s.signed_up_on", onboarding.within_days) }} <= {{ as_of() }} as is_eligible,
        {% if onboarding.require == "any" -%}
        c.first_days
        {%- else -%}
        case when c.completed_steps = {{ steps | length }} then c.last_days end
        {%- endif %} as days_to_onboard
    from signups s
    left join completions c on c.account_id = s.account_id
)

select account_id, signed_up_on, is_eligible, days_to_onboard,
    is_eligible and coalesce(days_to_onboard <= {{ onboarding.within_days }}, false) as is_onboarded
from measured
