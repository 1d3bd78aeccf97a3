{{ config(materialized="kept", outdated="is_outdated_period") }}
with paying_members as (
    select c.*, m.grain, m.period_start, m.closing_mrr
    from {{ ref("int_cohort_members") }} c
    join {{ ref("int_account_mrr") }} m
        on m.grain = 'month' and m.account_id = c.account_id and m.period_start >= c.cohort_month and m.closing_mrr > 0
    where {{ is_outdated_period("m.grain", "m.period_start") }}
)

{{ by_segment("paying_members", "
    count(*) as retained_customers,
    sum(closing_mrr) as retained_mrr", keys=["cohort_month", "grain", "period_start"]) }}
