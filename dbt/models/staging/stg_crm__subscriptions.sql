{%- set values = ["plan", "quantity", "amount", "currency", "billing_interval", "billing_interval_count", "is_trial"] -%}
-- read only in one of the modes, which parsing does not see: depends_on: {{ ref("stg_crm__subscription_versions") }}
with newest as (
    select * from {{ lake("crm", "subscriptions") }} where extract_date = {{ newest_delivery("crm", "subscriptions") }}
),

{% if var("subscriptions_in_place_changes", "restate") == "from_delivery" -%}
{# The CRM overwrites values: each version holds from the delivery that first showed it. #}
changes as (
    select *,
        case when row_number() over (partition by subscription_id, product, start_date order by extract_date) = 1 then start_date
            else greatest(start_date, extract_date) end as valid_from
    from {{ ref("stg_crm__subscription_versions") }}
),

priced_periods as (
    select n.subscription_id, n.account_id, c.product, {% for v in values %}c.{{ v }}, {% endfor %}
        c.valid_from as start_date,
        least(n.end_date, lead(c.valid_from) over in_order) as end_date,
        c.is_trial and coalesce(lead(c.is_trial) over in_order, false)
            and (n.end_date is null or n.end_date > lead(c.valid_from) over in_order) as is_continued
    from changes c
    join newest n
        on n.subscription_id = c.subscription_id and n.product is not distinct from c.product and n.start_date = c.start_date
    window in_order as (partition by c.subscription_id, c.product, c.start_date order by c.extract_date)
)
{%- else -%}
priced_periods as (
    select subscription_id, account_id, product, {% for v in values %}{{ v }}, {% endfor %}start_date, end_date, false as is_continued
    from newest
)
{%- endif %}

select
    subscription_id,
    account_id,
    coalesce(product, '(unknown)') as product,
    coalesce(plan, '(unknown)') as plan,
    coalesce(currency, {{ reporting_currency() }}) as currency,
    coalesce(billing_interval, 'month') as billing_interval,
    coalesce(billing_interval_count, 1) as billing_interval_count,
    coalesce(quantity, 0) as quantity,
    amount,
    coalesce(is_trial, false) as is_trial,
    start_date,
    end_date,
    coalesce(is_continued, false) as is_continued
from priced_periods
