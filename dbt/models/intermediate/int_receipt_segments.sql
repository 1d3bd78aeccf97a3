{{ config(materialized="kept", outdated="is_outdated_period") }}
with customers as (
    select m.grain, m.period_start, m.account_id, coalesce(r.paid_total, 0) as paid_total,
        s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_mrr") }} m
    join {{ ref("int_account_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = m.account_id
    left join {{ ref("int_account_receipts") }} r
        on r.grain = m.grain and r.period_start = m.period_start and r.account_id = m.account_id
    where m.closing_mrr > 0 and {{ is_outdated_period("m.grain", "m.period_start") }}
)

{{ by_segment("customers", "
    count(*) as customers,
    " ~ money("sum(paid_total)") ~ " as paid_total") }}
