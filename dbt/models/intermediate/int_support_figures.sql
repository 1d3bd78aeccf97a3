{{ config(materialized="kept", outdated="is_outdated_period") }}
with counts as (
    {{ by_segment(outdated_with_segments(ref("int_account_tickets")), "
        sum(tickets_opened) as tickets_opened,
        sum(tickets_resolved) as tickets_resolved,
        sum(ticket_backlog) as ticket_backlog") }}
),

waits as (
    select *
    from {{ ref("int_ticket_moments") }}
    join {{ ref("int_period_months") }} using (month_index)
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
    where moment in ('responded', 'resolved') and {{ is_outdated_period() }}
),

durations as (
    {{ by_segment("waits", "
        sum(waited_microseconds) filter (where moment = 'resolved') as resolution_microseconds,
        " ~ percentile_of("waited_microseconds", [0.5, 0.9]) ~ " filter (where moment = 'resolved') as resolution_percentiles,
        " ~ percentile_of("waited_microseconds", 0.5) ~ " filter (where moment = 'responded') as response_median") }}
)

select *
from counts
left join durations using (grain, period_start, segment_dimension, segment_value)
