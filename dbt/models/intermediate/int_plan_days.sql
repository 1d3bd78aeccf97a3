{%- set counts = ["active_users", "change_7d", "change_30d", "active_accounts", "sessions"] -%}
{#- An account's plan on a day is its plan in that month. So rolling users add up within a month only: each month opens with the
    users that its accounts bring along. -#}
{{ config(materialized="kept", outdated="is_outdated_month") }}
-- depends_on: {{ ref("int_fact_days") }}
with happenings as (
    select account_id, day, {{ month_index("day") }} as month_index, active_users, change_7d, change_30d,
        case when active_days > 0 and account_id <> '(unknown)' then 1 else 0 end as active_accounts,
        sessions
    from {{ ref("int_account_days") }}
    where day <= {{ as_of() }} and {{ is_outdated_month(month_index("day")) }}
    union all
    select account_id, {{ month_first_day("month_index") }}, month_index, 0, opening_users_7d, opening_users_30d, 0, 0
    from {{ ref("int_account_months") }}
    where opening_users_30d > 0 and {{ is_outdated_month() }}
)

select s.plan, h.day, h.month_index
    {%- for c in counts %}, cast(sum(h.{{ c }}) as bigint) as {{ c }}{% endfor %}
from happenings h
join {{ ref("int_account_segments") }} s
    on s.grain = 'month' and s.period_start = {{ month_first_day("h.month_index") }} and s.account_id = h.account_id
group by s.plan, h.day, h.month_index
