{%- set money_measures = ["published_opening_mrr", "opening_mrr", "closing_mrr", "new_mrr", "reactivation_mrr", "expansion_mrr",
    "contraction_mrr", "churned_mrr", "retained_mrr", "gross_retained_mrr"] -%}
{%- set count_measures = ["opening_customers", "closing_customers", "new_customers", "reactivated_customers", "churned_customers",
    "same_period_churned_customers"] -%}
{%- set cohort_money_measures = ["cohort_12m_mrr", "retained_12m_mrr", "gross_retained_12m_mrr"] -%}
with accounts as (
    select m.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_account_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
    where m.opening_mrr > 0 or m.closing_mrr > 0 or m.has_paid_day
),

cohort as (
    select m.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_cohort_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
),

current_figures as (
    {{ by_segment("accounts", "
        sum(published_opening_mrr) as published_opening_mrr,
        sum(opening_mrr) as opening_mrr,
        sum(closing_mrr) as closing_mrr,
        sum(closing_mrr) filter (where movement = 'new') as new_mrr,
        sum(closing_mrr) filter (where movement = 'reactivation') as reactivation_mrr,
        sum(closing_mrr - opening_mrr) filter (where movement = 'expansion') as expansion_mrr,
        sum(opening_mrr - closing_mrr) filter (where movement = 'contraction') as contraction_mrr,
        sum(opening_mrr) filter (where movement = 'churn') as churned_mrr,
        sum(closing_mrr) filter (where opening_mrr > 0) as retained_mrr,
        sum(least(opening_mrr, closing_mrr)) filter (where opening_mrr > 0) as gross_retained_mrr,
        count(*) filter (where opening_mrr > 0) as opening_customers,
        count(*) filter (where closing_mrr > 0) as closing_customers,
        count(*) filter (where movement = 'new') as new_customers,
        count(*) filter (where movement = 'reactivation') as reactivated_customers,
        count(*) filter (where movement = 'churn') as churned_customers,
        count(*) filter (where opening_mrr = 0 and closing_mrr = 0 and has_paid_day) as same_period_churned_customers") }}
),

cohort_figures as (
    {{ by_segment("cohort", "
        count(*) as cohort_12m_customers,
        sum(mrr_12m_ago) as cohort_12m_mrr,
        sum(closing_mrr) as retained_12m_mrr,
        sum(least(mrr_12m_ago, closing_mrr)) as gross_retained_12m_mrr") }}
),

seen as (
    select grain, period_start, segment_dimension, segment_value from current_figures
    union
    select grain, period_start, segment_dimension, segment_value from cohort_figures
)

select g.grain, g.period_start, g.segment_dimension, g.segment_value,
    p.period_end, p.period_label, p.is_complete, p.measured_on,
    {% for c in money_measures -%}
    {{ money("coalesce(f." ~ c ~ ", 0)") }} as {{ c }},
    {% endfor -%}
    {% for c in count_measures -%}
    cast(coalesce(f.{{ c }}, 0) as bigint) as {{ c }},
    {% endfor -%}
    cast(coalesce(c.cohort_12m_customers, 0) as bigint) as cohort_12m_customers
    {%- for c in cohort_money_measures %},
    {{ money("coalesce(c." ~ c ~ ", 0)") }} as {{ c }}
    {%- endfor %}
from {{ dense_grid("seen") }} g
join {{ ref("int_periods") }} p on p.grain = g.grain and p.period_start = g.period_start
left join current_figures f
    on f.grain = g.grain and f.period_start = g.period_start
    and f.segment_dimension = g.segment_dimension and f.segment_value = g.segment_value
left join cohort_figures c
    on c.grain = g.grain and c.period_start = g.period_start
    and c.segment_dimension = g.segment_dimension and c.segment_value = g.segment_value
