with responses as (
    select *
    from {{ ref("int_counted_responses") }}
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
),

figures as (
    {{ by_segment("responses", "
        count(*) filter (where survey = 'nps') as nps_responses,
        count(*) filter (where survey = 'nps' and score >= 9) as promoters,
        count(*) filter (where survey = 'nps' and score > 6 and score < 9) as passives,
        count(*) filter (where survey = 'nps' and score <= 6) as detractors,
        count(*) filter (where survey = 'csat') as csat_responses,
        count(*) filter (where survey = 'csat' and score >= " ~ var("csat_threshold") ~ ") as csat_satisfied,
        sum(score) filter (where survey = 'csat') as csat_score", own_dimensions=["survey_topic"]) }}
)

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
from {{ on_dense_grid("figures") }}
