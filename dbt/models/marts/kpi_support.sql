{%- set hour = 3600 * 1000000 -%}
with accounts as (
    select *
    from {{ ref("int_account_tickets") }}
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
),

counts as (
    {{ by_segment("accounts", "
        sum(tickets_opened) as tickets_opened,
        sum(tickets_resolved) as tickets_resolved,
        sum(ticket_backlog) as ticket_backlog") }}
),

waits as (
    select *
    from {{ ref("int_ticket_moments") }}
    join {{ ref("int_period_months") }} using (month_index)
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
    where moment in ('responded', 'resolved')
),

durations as (
    {{ by_segment("waits", "
        sum(waited_microseconds) filter (where moment = 'resolved') as resolution_microseconds,
        " ~ percentile_of("waited_microseconds", [0.5, 0.9]) ~ " filter (where moment = 'resolved') as resolution_percentiles,
        " ~ percentile_of("waited_microseconds", 0.5) ~ " filter (where moment = 'responded') as response_median") }}
)

select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    {{ count_column("tickets_opened") }},
    {{ count_column("tickets_resolved") }},
    {{ count_column("ticket_backlog") }},
    cast({{ item_of("resolution_percentiles", 1) }} as double) / {{ hour }} as ticket_resolution_hours_median,
    cast({{ item_of("resolution_percentiles", 2) }} as double) / {{ hour }} as ticket_resolution_hours_p90,
    {{ ratio("resolution_microseconds", "(tickets_resolved * " ~ hour ~ ")") }} as ticket_resolution_hours_mean,
    cast(response_median as double) / {{ hour }} as first_response_hours_median
from {{ on_dense_grid("counts") }}
left join durations using (grain, period_start, segment_dimension, segment_value)
