-- Guards the identity of KPI_SPEC section 2, to the last digit, for every period and every segment:
-- opening + fx_impact + new + reactivation + expansion - contraction - churned = closing.
-- Does not claim that a movement has the right name, nor that the balances are right: only that nothing moves unexplained.
select grain, period_start, segment_dimension, segment_value,
    opening_mrr + fx_impact_mrr + new_mrr + reactivation_mrr + expansion_mrr - contraction_mrr - churned_mrr as explained_mrr,
    closing_mrr
from {{ ref("kpi_mrr") }}
where opening_mrr + fx_impact_mrr + new_mrr + reactivation_mrr + expansion_mrr - contraction_mrr - churned_mrr <> closing_mrr
