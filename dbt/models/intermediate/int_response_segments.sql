{{ config(materialized="kept", outdated="is_outdated_period") }}
{{ by_segment(outdated_with_segments(ref("int_counted_responses")), "
    count(*) filter (where survey = 'nps') as nps_responses,
    count(*) filter (where survey = 'nps' and score >= 9) as promoters,
    count(*) filter (where survey = 'nps' and score > 6 and score < 9) as passives,
    count(*) filter (where survey = 'nps' and score <= 6) as detractors,
    count(*) filter (where survey = 'csat') as csat_responses,
    count(*) filter (where survey = 'csat' and score >= " ~ var("csat_threshold") ~ ") as csat_satisfied,
    sum(score) filter (where survey = 'csat') as csat_score", own_dimensions=["survey_topic"]) }}
