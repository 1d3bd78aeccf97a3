{#- Nobody's sessions are kept where everything is built anew, and the list stays empty. -#}
{%- set computed = last_build_of("int_sessions") -%}
with days as (
    select event_date from {{ ref("int_usage_days") }} where is_recomputed
)

select account_id, user_id
from {{ ref("int_session_days") }}
where {{ "event_date in (select event_date from days)" if computed else "false" }}
{% if computed -%}
{% for at in ["started_at", "ended_at"] -%}
union
select account_id, user_id
from {{ computed }}
where cast({{ at }} as date) in (select event_date from days)
{% endfor -%}
union
select c.account_id, c.user_id
from {{ computed }} c
join days d on d.event_date > cast(c.started_at as date) and d.event_date < cast(c.ended_at as date)
where cast(c.started_at as date) < cast(c.ended_at as date)
{%- endif %}
