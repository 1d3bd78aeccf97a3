{%- set hour = 3600 * 1000000 -%}
with accounts as (
    select s.*, t.tickets_opened, t.tickets_resolved, t.ticket_backlog
    from {{ ref("int_account_tickets") }} t
    join {{ ref("int_account_segments") }} s
        on s.grain = t.grain and s.period_start = t.period_start and s.account_id = t.account_id
),

counts as (
    {{ by_segment("accounts", "
        sum(tickets_opened) as tickets_opened,
        sum(tickets_resolved) as tickets_resolved,
        sum(ticket_backlog) as ticket_backlog") }}
),

waits as (
    select s.*, m.moment, m.waited_microseconds
    from {{ ref("int_ticket_moments") }} m
    join {{ ref("int_period_months") }} p on p.month_index = m.month_index
    join {{ ref("int_account_segments") }} s
        on s.grain = p.grain and s.period_start = p.period_start and s.account_id = m.account_id
    where m.moment in ('responded', 'resolved')
),

durations as (
    {{ by_segment("waits", "
        sum(waited_microseconds) filter (where moment = 'resolved') as resolution_microseconds,
        " ~ percentile_of("waited_microseconds", 0.5) ~ " filter (where moment = 'resolved') as resolution_median,
        " ~ percentile_of("waited_microseconds", 0.9) ~ " filter (where moment = 'resolved') as resolution_p90,
        " ~ percentile_of("waited_microseconds", 0.5) ~ " filter (where moment = 'responded') as response_median") }}
)

select
    g.grain, g.period_start, p.period_end, p.period_label, p.is_complete, g.segment_dimension, g.segment_value,
    cast(coalesce(c.tickets_opened, 0) as bigint) as tickets_opened,
    cast(coalesce(c.tickets_resolved, 0) as bigint) as tickets_resolved,
    cast(coalesce(c.ticket_backlog, 0) as bigint) as ticket_backlog,
    cast(d.resolution_median as double) / {{ hour }} as ticket_resolution_hours_median,
    cast(d.resolution_p90 as double) / {{ hour }} as ticket_resolution_hours_p90,
    {{ ratio("d.resolution_microseconds", "(c.tickets_resolved * " ~ hour ~ ")") }} as ticket_resolution_hours_mean,
    cast(d.response_median as double) / {{ hour }} as first_response_hours_median
from {{ dense_grid("counts") }} g
join {{ ref("int_periods") }} p on p.grain = g.grain and p.period_start = g.period_start
left join counts c
    on c.grain = g.grain and c.period_start = g.period_start
    and c.segment_dimension = g.segment_dimension and c.segment_value = g.segment_value
left join durations d
    on d.grain = g.grain and d.period_start = g.period_start
    and d.segment_dimension = g.segment_dimension and d.segment_value = g.segment_value
