{{ config(materialized="kept", outdated="is_outdated_period") }}
with accounts as (
    select s.*, u.active_users, u.user_days, u.user_weeks, u.sessions, m.seats,
        u.active_days > 0 as is_active,
        -- usage that names no account has users and sessions, and no account
        u.active_days > 0 and s.account_id <> '(unknown)' as is_active_account,
        coalesce(m.has_paid_day, false) as is_customer
    from {{ ref("int_account_segments") }} s
    join {{ ref("int_periods") }} p on p.grain = s.grain and p.period_start = s.period_start
    left join {{ ref("int_account_usage") }} u
        on u.grain = s.grain and u.period_start = s.period_start and u.account_id = s.account_id
    left join {{ ref("int_account_mrr") }} m
        on m.grain = s.grain and m.period_start = s.period_start and m.account_id = s.account_id
    where {{ is_outdated_period("s.grain", "s.period_start") }}
        and (u.active_days > 0 or u.user_weeks > 0 or m.has_paid_day)
        and p.period_end >= (select min(day) from {{ ref("int_account_days") }} where active_days > 0)
)

{{ by_segment("accounts", "
    sum(active_users) as active_users,
    sum(user_days) as user_days,
    sum(user_weeks) as user_weeks,
    count(*) filter (where is_active_account) as active_accounts,
    count(*) filter (where is_customer) as customers_in_period,
    count(*) filter (where is_customer and is_active) as active_customers,
    sum(seats) as seats,
    sum(sessions) as sessions") }}
