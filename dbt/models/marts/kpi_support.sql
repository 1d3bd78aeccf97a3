{%- set hour = 3600 * 1000000 -%}
select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    {{ count_column("tickets_opened") }},
    {{ count_column("tickets_resolved") }},
    {{ count_column("ticket_backlog") }},
    cast({{ item_of("resolution_percentiles", 1) }} as double) / {{ hour }} as ticket_resolution_hours_median,
    cast({{ item_of("resolution_percentiles", 2) }} as double) / {{ hour }} as ticket_resolution_hours_p90,
    {{ ratio("resolution_microseconds", "(tickets_resolved * " ~ hour ~ ")") }} as ticket_resolution_hours_mean,
    cast(response_median as double) / {{ hour }} as first_response_hours_median
from {{ on_dense_grid(ref("int_support_figures")) }}
