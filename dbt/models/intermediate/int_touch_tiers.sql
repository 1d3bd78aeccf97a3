{%- set tiers = var("touch_tiers") -%}
{{ config(materialized="kept", outdated="is_outdated_snapshot") }}
-- depends_on: {{ ref("int_periods") }}
with balances as (
    select i.snapshot_on, i.account_id, i.plan,
        {{ money("sum(" ~ converted("i.monthly_amount", "i.currency", "r.rate", "i.snapshot_on") ~ ")") }} as mrr
    from {{ ref("int_snapshot_items") }} i
    left join {{ ref("int_period_rates") }} r on r.currency = i.currency and r.rate_on = i.snapshot_on
    where {{ is_new_snapshot("i.snapshot_on") }}
    group by i.snapshot_on, i.account_id, i.plan
),

customers as (
    select b.snapshot_on, b.account_id, m.plan, sum(b.mrr) as mrr
    from balances b
    join {{ main_value("balances", ["snapshot_on", "account_id"], "plan") }} m
        on m.snapshot_on = b.snapshot_on and m.account_id = b.account_id
    group by b.snapshot_on, b.account_id, m.plan
),

days as (
    select distinct snapshot_on,
        {{ last_complete_month("snapshot_on") }} as last_month
    from customers
),

plan_churn as (
    select d.snapshot_on, c.plan, sum(c.opening_customers) as opening, sum(c.churned_customers) as churned
    from days d
    join {{ ref("int_plan_churn_months") }} c on c.month_index between d.last_month - 11 and d.last_month
    group by d.snapshot_on, c.plan
),

total_churn as (
    select snapshot_on, sum(opening) as opening, sum(churned) as churned from plan_churn group by snapshot_on
),

-- the expected lifetime in months as a fraction, so that the ranking is exact
lifetimes as (
    select c.*,
        case when p.churned > 0 and p.opening >= {{ var("small_sample") }} then p.opening
            when t.churned > 0 then t.opening else 1 end as lifetime_dividend,
        case when p.churned > 0 and p.opening >= {{ var("small_sample") }} then p.churned
            when t.churned > 0 then t.churned else 1 end as lifetime_divisor
    from customers c
    left join plan_churn p on p.snapshot_on = c.snapshot_on and p.plan = c.plan
    left join total_churn t on t.snapshot_on = c.snapshot_on
),

valued as (
    select l.*, f.first_paid_date,
        cast(l.mrr as double) * {{ var("gross_margin") }} * l.lifetime_dividend / l.lifetime_divisor as ltv_expected,
        {{ exact_rank_key("l.mrr", "l.lifetime_dividend", "l.lifetime_divisor") }} as exact_value
    from lifetimes l
    join {{ ref("int_first_paid") }} f on f.account_id = l.account_id
),

ranked as (
    select *,
        row_number() over (partition by snapshot_on order by exact_value desc, first_paid_date, account_id) as position,
        count(*) over (partition by snapshot_on) as customers
    from valued
)

select snapshot_on, account_id, {{ money("mrr") }} as mrr, plan, ltv_expected,
    {% if tiers.high_touch_amount is none -%}
    case when position <= ceil(customers * {{ tiers.high_touch_share }}) then 'high_touch'
        when position <= ceil(customers * {{ tiers.low_touch_share }}) then 'low_touch'
        else 'tech_touch' end as touch_tier
    {%- else -%}
    case when ltv_expected >= {{ tiers.high_touch_amount }} then 'high_touch'
        when ltv_expected >= {{ tiers.low_touch_amount }} then 'low_touch'
        else 'tech_touch' end as touch_tier
    {%- endif %}
from ranked
