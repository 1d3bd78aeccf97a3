select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    opening_customers,
    churned_customers,
    same_period_churned_customers,
    {{ ratio("churned_customers", "opening_customers") }} as customer_churn_rate,
    opening_mrr,
    churned_mrr,
    contraction_mrr,
    expansion_mrr,
    {{ ratio("churned_mrr", "opening_mrr") }} as revenue_churn_rate,
    {{ ratio("(churned_mrr + contraction_mrr)", "opening_mrr") }} as gross_revenue_churn_rate,
    {{ ratio("(churned_mrr + contraction_mrr - expansion_mrr)", "opening_mrr") }} as net_revenue_churn_rate
from {{ ref("int_revenue_segments") }}
