{#- Nobody's sessions are kept where everything is built anew, and the list stays empty. -#}
{%- set computed = last_build_of("int_sessions") -%}
with days as (
    select event_date from {{ ref("int_usage_days") }} where is_recomputed
),

changed as (
    select account_id, user_id, event_date as first_day
    from {{ ref("int_session_days") }}
    where {{ "event_date in (select event_date from days)" if computed else "false" }}
    {% if computed -%}
    {% for at in ["started_at", "ended_at"] -%}
    union all
    select account_id, user_id, cast(started_at as date)
    from {{ computed }}
    where cast({{ at }} as date) in (select event_date from days)
    {% endfor -%}
    union all
    select c.account_id, c.user_id, cast(c.started_at as date)
    from {{ computed }} c
    join days d on d.event_date > cast(c.started_at as date) and d.event_date < cast(c.ended_at as date)
    where cast(c.started_at as date) < cast(c.ended_at as date)
    {%- endif %}
)

select account_id, user_id, min(first_day) as first_day from changed group by account_id, user_id
