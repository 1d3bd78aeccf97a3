{%- set measured_until = "least(" ~ month_last_day(month_index("day")) ~ ", " ~ as_of() ~ ")" -%}
{%- set kept = first_changed_days() -%}
{%- set measures = ["active_days", "active_users", "users_new_to_month", "users_new_to_quarter", "users_new_to_year", "sessions"] -%}
{{ config(materialized="kept", outdated="is_outdated_month") }}
-- depends_on: {{ ref("int_fact_days") }}
with months as (
    select account_id, {{ month_index("day") }} as month_index
        {%- for m in measures %}, sum({{ m }}) as {{ m }}{% endfor %},
        min(day) filter (where active_days > 0) as first_active_on,
        max(day) filter (where active_days > 0) as last_active_on,
        sum(change_7d) as change_7d,
        sum(change_30d) as change_30d,
        -- a change counts on every day from its own to the last one measured of the month
        sum(change_7d * greatest(0, {{ days_between("day", measured_until) }} + 1)) as changed_user_weeks
    from {{ ref("int_account_days") }}
    where {{ is_outdated_month(month_index("day")) }}
    group by account_id, {{ month_index("day") }}
),

-- Every month into which 30 days reach has a row: whoever is counted all through it left the window of 7 days in it, or was active.
carried as (
    select m.*,
        {%- for days in [7, 30] %}
        {% if kept %}coalesce(k.users_{{ days }}d, 0) + {% endif %}coalesce(sum(m.change_{{ days }}d) over earlier, 0) as opening_users_{{ days }}d{{ "," if not loop.last }}
        {%- endfor %}
    from months m
    {% if kept -%}
    left join (
        select account_id, sum(change_7d) as users_7d, sum(change_30d) as users_30d from {{ this }} group by account_id
    ) k on k.account_id = m.account_id
    {% endif -%}
    window earlier as (partition by m.account_id order by m.month_index rows between unbounded preceding and 1 preceding)
)

select account_id, month_index
    {%- for m in measures %},
    cast({{ m }} as bigint) as {{ "user_days" if m == "active_users" else m }}
    {%- endfor %},
    cast(changed_user_weeks + opening_users_7d * ({{ days_between(month_first_day("month_index"),
        "least(" ~ month_last_day("month_index") ~ ", " ~ as_of() ~ ")") }} + 1) as bigint) as user_weeks,
    cast(opening_users_7d as bigint) as opening_users_7d,
    cast(opening_users_30d as bigint) as opening_users_30d,
    cast(change_7d as bigint) as change_7d,
    cast(change_30d as bigint) as change_30d,
    first_active_on,
    last_active_on
from carried
where month_index <= {{ month_index(as_of()) }}
