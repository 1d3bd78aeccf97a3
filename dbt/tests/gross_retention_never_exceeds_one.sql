-- Guards GRR <= 1 and GRR <= NRR before they are ratios, for the period and for 12 months: the smaller end counts per account.
-- Does not claim that the cohort is the right one.
select grain, period_start, segment_dimension, segment_value
from {{ ref("kpi_nrr") }}
where gross_retained_mrr > opening_mrr or gross_retained_mrr > retained_mrr
    or gross_retained_12m_mrr > cohort_12m_mrr or gross_retained_12m_mrr > retained_12m_mrr
