select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    {{ count_column("nps_responses") }},
    {{ count_column("promoters") }},
    {{ count_column("passives") }},
    {{ count_column("detractors") }},
    {{ ratio("(100 * (promoters - detractors))", "nps_responses") }} as nps,
    {{ count_column("csat_responses") }},
    {{ count_column("csat_satisfied") }},
    {{ ratio("csat_satisfied", "csat_responses") }} as csat_rate,
    {{ ratio("csat_score", "csat_responses") }} as csat_average
from {{ on_dense_grid(ref("int_response_segments")) }}
