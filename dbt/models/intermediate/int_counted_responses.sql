{{ config(materialized="kept", outdated="is_outdated_period") }}
with in_period as (
    select p.grain, p.period_start, r.response_id, r.account_id, r.survey, r.survey_topic, r.score,
        -- a response without a contact is its own contact
        row_number() over (
            partition by p.grain, p.period_start, r.survey, r.contact_id, case when r.contact_id is null then r.response_id end
            order by r.responded_at desc, r.response_id desc) as newest
    from {{ ref("int_responses") }} r
    join {{ ref("int_period_months") }} p on p.month_index = {{ month_index("r.responded_on") }}
    where {{ is_outdated_period("p.grain", "p.period_start") }}
)

select grain, period_start, response_id, account_id, survey, survey_topic, score
from in_period
where survey = 'csat' or (survey = 'nps' and newest = 1)
