{#- Nobody's sessions are kept where everything is built anew, and the list stays empty. -#}
{%- set computed = last_build_of("int_sessions") -%}
with days as (
    select event_date from {{ ref("int_usage_days") }} where is_recomputed
),

changed as (
    select account_id, user_id, session_number, event_date as first_day
    from {{ ref("int_session_days") }}
    where {{ "event_date in (select event_date from days)" if computed else "false" }}
    {% if computed -%}
    {%- set bounds = run_query("select cast(min(event_date) as varchar) as first_day, cast(max(event_date) as varchar) as last_day from "
        ~ ref("int_usage_days") ~ " where is_recomputed").rows[0] -%}
    union all
    select c.account_id, c.user_id, c.session_number, cast(c.started_at as date)
    from {{ computed }} c
    join days d on d.event_date between cast(c.started_at as date) and cast(c.ended_at as date)
    -- few of all sessions reach into the time from the first of these days to the last
    where c.ended_at >= cast('{{ bounds.first_day or "9999-12-31" }}' as date)
        and c.started_at < {{ days_after("cast('" ~ (bounds.last_day or "0001-01-01") ~ "' as date)", 1) }}
    {%- endif %}
)

select account_id, user_id, session_number, min(first_day) as first_day from changed group by account_id, user_id, session_number
