{{ config(materialized="kept", outdated="is_outdated_period") }}
with accounts as (
    select e.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_expansion") }} e
    join {{ ref("int_account_segments") }} s
        on s.grain = e.grain and s.period_start = e.period_start and s.account_id = e.account_id
    where {{ is_outdated_period("e.grain", "e.period_start") }}
)

{{ by_segment("accounts", "
    count(*) filter (where upsell_mrr > 0) as upsold_customers,
    sum(upsell_mrr) as upsell_mrr,
    count(*) filter (where cross_sell_mrr > 0) as cross_sold_customers,
    sum(cross_sell_mrr) as cross_sell_mrr") }}
