{%- set counts = ["active_users", "change_7d", "change_30d", "active_accounts", "sessions"] -%}
{#- An account's plan on a day is its plan in that month. So rolling users add up within a month only: each month opens with the
    users that its accounts bring along. -#}
with happenings as (
    select account_id, day, {{ month_index("day") }} as month_index, active_users, change_7d, change_30d,
        case when active_days > 0 and account_id <> '(unknown)' then 1 else 0 end as active_accounts,
        sessions
    from {{ ref("int_account_days") }}
    where day <= {{ as_of() }}
    union all
    select account_id, {{ month_first_day("month_index") }}, month_index, 0, opening_users_7d, opening_users_30d, 0, 0
    from {{ ref("int_account_months") }}
    where opening_users_30d > 0
),

by_plan as (
    select s.plan, h.day
        {%- for c in counts %}, sum(h.{{ c }}) as {{ c }}{% endfor %}
    from happenings h
    join {{ ref("int_account_segments") }} s
        on s.grain = 'month' and s.period_start = {{ month_first_day("h.month_index") }} and s.account_id = h.account_id
    group by s.plan, h.day
),

by_segment as (
    select 'plan' as segment_dimension, plan as segment_value, day, {{ counts | join(", ") }} from by_plan
    union all
    select 'total', 'all', day{% for c in counts %}, sum({{ c }}){% endfor %} from by_plan group by day
),

bounds as (
    select min(day) as first_day from {{ ref("int_account_days") }} where active_days > 0
),

days as (
    select {{ days_after("b.first_day", "s.n") }} as day
    from bounds b
    cross join {{ integer_series(0, "(select " ~ days_between("first_day", as_of()) ~ " from bounds)") }} s
),

levels as (
    select d.day, s.segment_dimension, s.segment_value,
        coalesce(f.active_users, 0) as active_users,
        coalesce(sum(f.change_7d) over so_far, 0) as active_users_7d,
        coalesce(sum(f.change_30d) over so_far, 0) as active_users_30d,
        coalesce(f.active_accounts, 0) as active_accounts,
        coalesce(f.sessions, 0) as sessions
    from days d
    cross join (select distinct segment_dimension, segment_value from by_segment) s
    left join by_segment f
        on f.day = d.day and f.segment_dimension = s.segment_dimension and f.segment_value = s.segment_value
    window so_far as (
        partition by s.segment_dimension, s.segment_value, {{ month_index("d.day") }} order by d.day
        rows between unbounded preceding and current row)
),

seen as (
    -- a plan whose users only leave on the first day of a month has nothing to show
    select distinct segment_dimension, segment_value
    from levels
    where active_users_30d > 0 or active_accounts > 0 or sessions > 0
)

select l.day as date, l.segment_dimension, l.segment_value,
    cast(l.active_users as bigint) as active_users,
    cast(l.active_users_7d as bigint) as active_users_7d,
    cast(l.active_users_30d as bigint) as active_users_30d,
    cast(l.active_accounts as bigint) as active_accounts,
    cast(l.sessions as bigint) as sessions,
    (select count(user_id) = 0 from {{ ref("int_sessions") }}) as is_account_level
from levels l
join seen s on s.segment_dimension = l.segment_dimension and s.segment_value = l.segment_value
