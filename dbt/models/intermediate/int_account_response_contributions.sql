-- what each account adds to the counts of its survey responses, topic by topic
select r.grain, r.period_start, r.account_id, r.survey_topic,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier,
    count(*) filter (where r.survey = 'nps') as nps_responses,
    count(*) filter (where r.survey = 'nps' and r.score >= 9) as promoters,
    count(*) filter (where r.survey = 'nps' and r.score <= 6) as detractors,
    count(*) filter (where r.survey = 'csat') as csat_responses,
    count(*) filter (where r.survey = 'csat' and r.score >= {{ var("csat_threshold") }}) as csat_satisfied,
    coalesce(sum(r.score) filter (where r.survey = 'csat'), 0) as csat_score
from {{ ref("int_counted_responses") }} r
join {{ ref("int_account_segments") }} s
    on s.grain = r.grain and s.period_start = r.period_start and s.account_id = r.account_id
group by r.grain, r.period_start, r.account_id, r.survey_topic,
    s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
