-- depends_on: {{ ref("int_periods") }}
{{ config(materialized="in_batches", batches="period_batches", outdated="is_outdated_period") }}
with started as (
    select account_id, {{ month_index("started_at") }} as month_index, length_microseconds
    from {{ ref("int_sessions") }}
    where {{ happened_in_batch("cast(started_at as date)") }}
),

sessions as materialized (
    select s.grain, s.period_start{% for d in var("segment_dimensions") %}, s.{{ d }}{% endfor %}, x.length_microseconds
    from started x
    join {{ ref("int_period_months") }} m on m.month_index = x.month_index
    join {{ ref("int_account_segments") }} s
        on {{ same_grain_in_batch("s.grain", "m.grain") }} and s.period_start = m.period_start and s.account_id = x.account_id
    where {{ period_in_batch("m.grain", "m.period_start") }} and {{ period_in_batch("s.grain", "s.period_start") }}
)

{{ by_one_segment_at_a_time("sessions", "
    count(*) as sessions,
    sum(length_microseconds) as length_microseconds,
    " ~ percentile_of("length_microseconds", 0.5) ~ " as median_microseconds") }}
