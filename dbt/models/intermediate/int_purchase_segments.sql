{{ config(materialized="kept", outdated="is_outdated_period") }}
with purchasers as (
    select a.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_purchases") }} a
    join {{ ref("int_account_segments") }} s
        on s.grain = a.grain and s.period_start = a.period_start and s.account_id = a.account_id
    where {{ is_outdated_period("a.grain", "a.period_start") }}
)

{{ by_segment("purchasers", "
    count(*) filter (where purchases > 0) as purchasers,
    count(*) filter (where prior_purchases > 0) as prior_purchasers,
    count(*) filter (where prior_purchases > 0 and purchases = 0) as lost_purchasers,
    cast(sum(purchases) as bigint) as purchases,
    " ~ money("sum(purchased_amount)") ~ " as purchased_amount") }}
