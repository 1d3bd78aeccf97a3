{%- set keys = ["grain", "period_start", "account_id"] -%}
{{ config(materialized="kept", outdated="is_outdated_period") }}
with decisive as (
    select b.grain, b.period_start, b.account_id, b.plan, b.product, b.mrr
    from {{ ref("int_period_balances") }} b
    join {{ ref("int_account_periods") }} k
        on k.grain = b.grain and k.period_start = b.period_start and k.account_id = b.account_id and k.decisive_balance = b.balance
    where {{ is_outdated_period("b.grain", "b.period_start") }}
),

covering as (
    -- accounts that are no customers at the decisive day: what they last had in the period
    select k.grain, k.period_start, k.account_id, i.plan, i.product,
        {{ converted("i.monthly_amount", "i.currency", "r.rate", "k.measured_on") }} as mrr,
        case i.kind when 'paying' then 1 when 'trial' then 2 else 3 end as preference,
        case when i.end_date is null or i.end_date > k.measured_on then k.measured_on
            else {{ days_after("i.end_date", -1) }} end as last_day
    from {{ ref("int_account_periods") }} k
    join {{ ref("int_subscription_items") }} i
        on i.account_id = k.account_id and i.start_date <= k.measured_on
        and (i.end_date is null or i.end_date > k.period_start)
    left join {{ ref("int_period_rates") }} r on r.currency = i.currency and r.rate_on = k.measured_on
    where k.decisive_balance is null and {{ is_outdated_period("k.grain", "k.period_start") }}
),

last_covering as (
    select *
    from (
        select *, rank() over (
            partition by grain, period_start, account_id order by preference, last_day desc) as position
        from covering
    ) as ranked
    where position = 1
)

-- a key is in one of the two
select k.grain, k.period_start, k.account_id, k.decisive_balance, k.decisive_on,
    coalesce(main_plan.plan, '(unknown)') as plan,
    coalesce(main_product.product, '(unknown)') as product
from {{ ref("int_account_periods") }} k
{% for value in ["plan", "product"] -%}
left join (
    select * from {{ main_value("decisive", keys, value) }} as {{ value }}_of_customers
    union all
    select * from {{ main_value("last_covering", keys, value) }} as {{ value }}_of_others
) main_{{ value }}
    on main_{{ value }}.grain = k.grain and main_{{ value }}.period_start = k.period_start and main_{{ value }}.account_id = k.account_id
{% endfor %}
where {{ is_outdated_period("k.grain", "k.period_start") }}
