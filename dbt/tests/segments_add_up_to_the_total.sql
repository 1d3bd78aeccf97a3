-- Guards that every count and every sum of money adds up to the total over each configured dimension, exactly: an account in no
-- segment, or in two, shows here.
-- Does not claim that an account is in the right segment, and says nothing about ratios, which do not add.
{%- set additive = {
    "kpi_mrr": ["opening_mrr", "fx_impact_mrr", "new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr",
        "closing_mrr", "arr", "customers"],
    "kpi_churn": ["opening_customers", "churned_customers", "same_period_churned_customers", "opening_mrr", "churned_mrr",
        "contraction_mrr", "expansion_mrr"],
    "kpi_retention": ["opening_customers", "new_customers", "reactivated_customers", "churned_customers", "closing_customers"],
    "kpi_nrr": ["opening_customers", "opening_mrr", "retained_mrr", "gross_retained_mrr", "cohort_12m_customers", "cohort_12m_mrr",
        "retained_12m_mrr", "gross_retained_12m_mrr"],
    "kpi_ltv": ["customers"],
} %}
with differences as (
    select cast(null as varchar) as table_name, cast(null as varchar) as grain, cast(null as date) as period_start,
        cast(null as varchar) as segment_dimension
    where false
    {%- for table_name, columns in additive.items() %}{% for dimension in var("segment_dimensions") %}
    union all
    select '{{ table_name }}', t.grain, t.period_start, '{{ dimension }}'
    from {{ ref(table_name) }} t
    left join {{ ref(table_name) }} s
        on s.grain = t.grain and s.period_start = t.period_start and s.segment_dimension = '{{ dimension }}'
    where t.segment_dimension = 'total'
    group by t.grain, t.period_start
    having {% for c in columns %}max(t.{{ c }}) is distinct from sum(s.{{ c }}){{ " or " if not loop.last }}{% endfor %}
    {%- endfor %}{% endfor %}
)

select * from differences
