select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    published_opening_mrr as opening_mrr,
    {{ money("opening_mrr - published_opening_mrr") }} as fx_impact_mrr,
    new_mrr,
    reactivation_mrr,
    expansion_mrr,
    contraction_mrr,
    churned_mrr,
    closing_mrr,
    {{ money("closing_mrr * 12") }} as arr,
    closing_customers as customers,
    {{ ratio("closing_mrr", "closing_customers") }} as arpa,
    {{ ratio("(new_mrr + reactivation_mrr + expansion_mrr)", "(contraction_mrr + churned_mrr)") }} as quick_ratio
from {{ ref("int_revenue_segments") }}
