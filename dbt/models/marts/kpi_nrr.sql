select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    opening_customers,
    opening_mrr,
    retained_mrr,
    gross_retained_mrr,
    {{ ratio("retained_mrr", "opening_mrr") }} as nrr,
    {{ ratio("gross_retained_mrr", "opening_mrr") }} as grr,
    cohort_12m_customers,
    cohort_12m_mrr,
    retained_12m_mrr,
    gross_retained_12m_mrr,
    {{ ratio("retained_12m_mrr", "cohort_12m_mrr") }} as nrr_12m,
    {{ ratio("gross_retained_12m_mrr", "cohort_12m_mrr") }} as grr_12m
from {{ ref("int_revenue_segments") }}
