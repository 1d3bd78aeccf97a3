{{ config(materialized="kept", outdated="is_outdated_period") }}
select p.grain, p.period_start, m.account_id,
    cast(sum(case p.grain when 'month' then m.users_new_to_month when 'quarter' then m.users_new_to_quarter
        else m.users_new_to_year end) as bigint) as active_users,
    cast(sum(m.active_days) as bigint) as active_days,
    cast(sum(m.user_days) as bigint) as user_days,
    cast(sum(m.user_weeks) as bigint) as user_weeks,
    cast(sum(m.sessions) as bigint) as sessions
from {{ ref("int_account_months") }} m
join {{ ref("int_period_months") }} p on p.month_index = m.month_index
where {{ is_outdated_period("p.grain", "p.period_start") }}
group by p.grain, p.period_start, m.account_id
