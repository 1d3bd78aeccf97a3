{%- set counts = ["active_users", "change_7d", "change_30d", "active_accounts", "sessions"] -%}
with by_segment as (
    select 'plan' as segment_dimension, plan as segment_value, day, {{ counts | join(", ") }} from {{ ref("int_plan_days") }}
    union all
    select 'total', 'all', day{% for c in counts %}, sum({{ c }}){% endfor %} from {{ ref("int_plan_days") }} group by day
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
