{{ config(materialized="kept", outdated="is_outdated_period") }}
with months as (
    select account_id, {{ month_or_last_kept("month_index") }} as month_index,
        count(*) filter (where moment = 'opened') as opened,
        count(*) filter (where moment = 'responded') as responded,
        count(*) filter (where moment = 'resolved') as resolved
    from {{ ref("int_ticket_moments") }}
    group by account_id, {{ month_or_last_kept("month_index") }}
),

-- tickets open at the end of a month, and the months until something changes that
backlogs as (
    select account_id, month_index as first_month,
        sum(opened - resolved) over (partition by account_id order by month_index) as backlog,
        coalesce(lead(month_index) over (partition by account_id order by month_index) - 1, {{ month_index(as_of()) }}) as last_month
    from months
),

figures as (
    select p.grain, p.period_start, m.account_id, m.opened, m.responded, m.resolved, 0 as backlog
    from months m
    join {{ ref("int_period_months") }} p on p.month_index = m.month_index
    where {{ is_outdated_period("p.grain", "p.period_start") }}
    union all
    select p.grain, p.period_start, b.account_id, 0, 0, 0, b.backlog
    from backlogs b
    join {{ ref("int_periods") }} p on {{ month_index("p.measured_on") }} between b.first_month and b.last_month
    where b.backlog > 0 and {{ is_outdated_period("p.grain", "p.period_start") }}
)

select grain, period_start, account_id,
    cast(sum(opened) as bigint) as tickets_opened,
    cast(sum(responded) as bigint) as tickets_responded,
    cast(sum(resolved) as bigint) as tickets_resolved,
    cast(sum(backlog) as bigint) as ticket_backlog
from figures
group by grain, period_start, account_id
