{%- set counts = ["active_users", "user_days", "user_weeks", "active_accounts", "customers_in_period", "active_customers", "seats",
    "sessions"] -%}
select grain, period_start, segment_dimension, segment_value, period_end, period_label, is_complete, days_elapsed
    {%- for c in counts %},
    {{ count_column(c) }}
    {%- endfor %}
from {{ on_dense_grid(ref("int_engagement_figures")) }}
