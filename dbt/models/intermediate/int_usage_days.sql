{#- Beside the days whose deliveries changed: those on which an event's account is now another one, or is or is no longer a test. -#}
{%- set computed = last_build_of("int_session_days") -%}
with delivered as (
    select event_date, max(case when is_changed then 1 else 0 end) = 1 as is_changed from {{ ref("stg_usage__event_days") }} group by event_date
)
{%- if computed %},

moved as (
    select event_date
    from {{ computed }}
    where is_test <> {{ is_among("account_id", "select account_id from " ~ ref("int_accounts") ~ " where is_test") }}
    union
    select c.event_date
    from {{ computed }} c
    left join {{ subscribers() }} s on s.subscription_id = c.subscription_id
    where c.subscription_id is not null and c.account_id <> coalesce(s.account_id, '(unknown)')
)

select d.event_date, d.is_changed or m.event_date is not null as is_recomputed
from delivered d
left join moved m on m.event_date = d.event_date
{%- else %}

-- read only where there was a build before, which parsing does not see: depends_on: {{ ref("stg_crm__subscriptions") }} {{ ref("int_accounts") }}
select event_date, true as is_recomputed from delivered
{%- endif %}
