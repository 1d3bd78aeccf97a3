{#- A figure of a day or of a period depends on what is dated by its end, and on nothing later. What tells of an account that it has no
    facts of its own yet is dated by its first fact, and what changes every figure by a day before all others. -#}
{%- set last_build = last_build_of("int_fact_days") -%}
{%- set last_months = last_build_of("int_account_months") -%}
{%- set recomputed_from = first_recomputed_month() if last_months -%}
{%- set subscription = ["account_id", "subscription_id", "product", "plan", "currency", "kind", "monthly_amount", "quantity"] -%}
{%- set facts = {
    "started": [ref("int_subscription_items"), "start_date", subscription],
    "ended": [ref("int_subscription_items"), "end_date", subscription + ["start_date"]],
    "issued": [ref("int_invoices"), "issued_on", ["account_id", "invoice_id", "kind", "amount"]],
    "ticket": [ref("int_ticket_moments"), "happened_on", ["account_id", "ticket_id", "moment", "waited_microseconds"]],
    "response": [ref("int_responses"), "responded_on",
        ["account_id", "response_id", "contact_id", "survey", "survey_topic", "score", "responded_at"]],
    "signup": [ref("int_signups"), "signed_up_on", ["account_id"]],
    "trial": [ref("int_trials"), "ended_on", ["account_id"]],
} -%}
{%- set all_time = "cast('0001-01-01' as date)" -%}
with first_days as (
    select account_id, min(day) as day
    from (
        {% if last_months -%}
        -- the last build told the months before the days that are computed anew
        select account_id, first_active_on as day
        from {{ last_months }}
        where first_active_on is not null and month_index < {{ month_index(recomputed_from) }}
        union all
        select account_id, day from {{ ref("int_account_days") }} where active_days > 0 and day >= {{ recomputed_from }}
        {% else -%}
        select account_id, day from {{ ref("int_account_days") }} where active_days > 0
        {% endif -%}
        {% for relation, day, columns in facts.values() -%}
        union all
        select account_id, {{ day }} from {{ relation }}
        {% endfor -%}
    ) as dated
    group by account_id
),

told as (
    {% for name, (relation, day, columns) in facts.items() -%}
    select '{{ name }}' as fact, {{ day }} as day, {{ content_signature(columns) }} as signature from {{ relation }} group by {{ day }}
    union all
    {% endfor -%}
    -- the first attributes known of an account hold before they were told
    select 'attributes', case when h.valid_from > {{ all_time }} then h.valid_from else f.day end,
        {{ content_signature(["h.account_id", "h.industry", "h.region", "h.company_size", "h.owner"]) }}
    from {{ ref("int_account_history") }} h
    join first_days f on f.account_id = h.account_id
    group by case when h.valid_from > {{ all_time }} then h.valid_from else f.day end
    union all
    select 'rate', rate_date, {{ content_signature(["currency", "rate"]) }} from {{ ref("stg_finance__fx_rates") }} group by rate_date
    union all
    select 'is_account_level', {{ all_time }}, coalesce(max(case when is_account_level then 1 else 0 end), 1) from {{ ref("int_account_days") }}
    union all
    select 'has_subscriptions', {{ all_time }}, count(*) from (select 1 from {{ ref("int_first_paid") }} limit 1) as paid
    union all
    -- the day after the as-of date is the first one of which nothing is known
    select 'as_of', {{ days_after(as_of(), 1) }}, 0
),

known as (
    select * from told where day <= {{ days_after(as_of(), 1) }}
),

compared as (
    {% if last_build -%}
    select coalesce(k.fact, l.fact) as fact, coalesce(k.day, l.day) as day, k.signature, k.signature is distinct from l.signature as is_changed
    from known k
    full join (select * from {{ last_build }} where signature is not null) l on l.fact = k.fact and l.day = k.day
    {%- else -%}
    select fact, day, signature, true as is_changed from known
    {%- endif %}
)

select fact, day, signature, is_changed from compared
union all
select 'usage', event_date, null, is_recomputed from {{ ref("int_usage_days") }}
-- a session belongs to the day on which it began, and may change with any day that it reaches
union all
select 'session', min(first_day), null, true from {{ ref("int_recomputed_sessions") }}
union all
select 'session', cast(min(s.started_at) as date), null, true
from {{ ref("int_sessions") }} s
cross join (select min(event_date) as first_day from {{ ref("int_usage_days") }} where is_recomputed) r
where cast(s.ended_at as date) >= r.first_day and cast(s.started_at as date) < r.first_day
