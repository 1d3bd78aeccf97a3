select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    opening_customers,
    new_customers,
    reactivated_customers,
    churned_customers,
    closing_customers,
    {{ ratio("(closing_customers - new_customers - reactivated_customers)", "opening_customers") }} as customer_retention_rate
from {{ ref("int_revenue_segments") }}
