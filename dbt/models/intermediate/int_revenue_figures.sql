{{ config(materialized="kept", outdated="is_outdated_period") }}
with accounts as (
    select m.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_account_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
    where (m.opening_mrr > 0 or m.closing_mrr > 0 or m.has_paid_day) and {{ is_outdated_period("m.grain", "m.period_start") }}
),

cohort as (
    select m.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_cohort_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
    where {{ is_outdated_period("m.grain", "m.period_start") }}
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
)

select *
from current_figures
full join cohort_figures using (grain, period_start, segment_dimension, segment_value)
