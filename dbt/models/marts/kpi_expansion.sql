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
left join {{ ref("int_expansion_figures") }} f
    on f.grain = r.grain and f.period_start = r.period_start
    and f.segment_dimension = r.segment_dimension and f.segment_value = r.segment_value
