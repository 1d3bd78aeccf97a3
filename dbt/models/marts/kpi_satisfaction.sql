{%- set counts = ["nps_responses", "promoters", "passives", "detractors", "csat_responses", "csat_satisfied"] -%}
with responses as (
    select s.*, r.survey, r.survey_topic, r.score
    from {{ ref("int_counted_responses") }} r
    join {{ ref("int_account_segments") }} s
        on s.grain = r.grain and s.period_start = r.period_start and s.account_id = r.account_id
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
),

dense as (
    select g.grain, g.period_start, p.period_end, p.period_label, p.is_complete, g.segment_dimension, g.segment_value, f.csat_score
        {%- for c in counts %},
        cast(coalesce(f.{{ c }}, 0) as bigint) as {{ c }}
        {%- endfor %}
    from {{ dense_grid("figures") }} g
    join {{ ref("int_periods") }} p on p.grain = g.grain and p.period_start = g.period_start
    left join figures f
        on f.grain = g.grain and f.period_start = g.period_start
        and f.segment_dimension = g.segment_dimension and f.segment_value = g.segment_value
)

select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    nps_responses,
    promoters,
    passives,
    detractors,
    {{ ratio("(100 * (promoters - detractors))", "nps_responses") }} as nps,
    csat_responses,
    csat_satisfied,
    {{ ratio("csat_satisfied", "csat_responses") }} as csat_rate,
    {{ ratio("csat_score", "csat_responses") }} as csat_average
from dense
