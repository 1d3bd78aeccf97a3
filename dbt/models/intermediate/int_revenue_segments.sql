{%- set money_measures = ["published_opening_mrr", "opening_mrr", "closing_mrr", "new_mrr", "reactivation_mrr", "expansion_mrr",
    "contraction_mrr", "churned_mrr", "retained_mrr", "gross_retained_mrr", "cohort_12m_mrr", "retained_12m_mrr",
    "gross_retained_12m_mrr"] -%}
{%- set count_measures = ["opening_customers", "closing_customers", "new_customers", "reactivated_customers", "churned_customers",
    "same_period_churned_customers", "cohort_12m_customers"] -%}
select grain, period_start, segment_dimension, segment_value,
    period_end, period_label, is_complete, measured_on,
    {% for c in money_measures -%}
    {{ money("coalesce(" ~ c ~ ", 0)") }} as {{ c }},
    {% endfor -%}
    {% for c in count_measures -%}
    {{ count_column(c) }}{{ "," if not loop.last }}
    {% endfor -%}
from {{ on_dense_grid(ref("int_revenue_figures")) }}
