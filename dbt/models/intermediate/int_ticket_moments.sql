{{ config(materialized="view") }}
-- what happened to tickets by the as-of date; their status is not consulted
{% for moment, at in [("opened", "created_at"), ("responded", "first_responded_at"), ("resolved", "resolved_at")] -%}
select ticket_id, account_id, '{{ moment }}' as moment, cast({{ at }} as date) as happened_on, {{ month_index(at) }} as month_index,
    {{ microseconds_between("created_at", at) }} as waited_microseconds
from {{ ref("int_tickets") }}
where cast({{ at }} as date) <= {{ as_of() }}
{{ "union all" if not loop.last }}
{% endfor %}
