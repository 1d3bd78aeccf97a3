with accounts as (
    select e.*, s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_account_expansion") }} e
    join {{ ref("int_account_segments") }} s
        on s.grain = e.grain and s.period_start = e.period_start and s.account_id = e.account_id
),

figures as (
    {{ by_segment("accounts", "
        count(*) filter (where upsell_mrr > 0) as upsold_customers,
        sum(upsell_mrr) as upsell_mrr,
        count(*) filter (where cross_sell_mrr > 0) as cross_sold_customers,
        sum(cross_sell_mrr) as cross_sell_mrr") }}
)

select
    r.grain, r.period_start, r.period_end, r.period_label, r.is_complete, r.segment_dimension, r.segment_value,
    r.opening_customers,
    cast(coalesce(f.upsold_customers, 0) as bigint) as upsold_customers,
    {{ ratio("coalesce(f.upsold_customers, 0)", "r.opening_customers") }} as upsell_rate,
    {{ money("coalesce(f.upsell_mrr, 0)") }} as upsell_mrr,
    cast(coalesce(f.cross_sold_customers, 0) as bigint) as cross_sold_customers,
    {{ ratio("coalesce(f.cross_sold_customers, 0)", "r.opening_customers") }} as cross_sell_rate,
    {{ money("coalesce(f.cross_sell_mrr, 0)") }} as cross_sell_mrr
from {{ ref("int_revenue_segments") }} r
left join figures f
    on f.grain = r.grain and f.period_start = r.period_start
    and f.segment_dimension = r.segment_dimension and f.segment_value = r.segment_value
