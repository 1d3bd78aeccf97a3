with user_months as (
    select distinct account_id, user_id, {{ month_index("activity_date") }} as month_index
    from {{ ref("int_user_days") }}
),

users as (
    -- an event without a user counts for its account, not as a user
    select p.grain, p.period_start, u.account_id, count(distinct u.user_id) as active_users
    from user_months u
    join {{ ref("int_period_months") }} p on p.month_index = u.month_index
    group by p.grain, p.period_start, u.account_id
),

session_months as (
    select account_id, {{ month_index("started_at") }} as month_index, count(*) as sessions
    from {{ ref("int_sessions") }}
    group by account_id, {{ month_index("started_at") }}
),

sessions as (
    select p.grain, p.period_start, s.account_id, sum(s.sessions) as sessions
    from session_months s
    join {{ ref("int_period_months") }} p on p.month_index = s.month_index
    group by p.grain, p.period_start, s.account_id
)

select u.grain, u.period_start, u.account_id,
    cast(u.active_users as bigint) as active_users,
    cast(coalesce(s.sessions, 0) as bigint) as sessions
from users u
left join sessions s on s.grain = u.grain and s.period_start = u.period_start and s.account_id = u.account_id
