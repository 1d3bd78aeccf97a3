with started as (
    select account_id, {{ month_index("started_at") }} as month_index, length_microseconds
    from {{ ref("int_sessions") }}
),

sessions as (
    select s.*, x.length_microseconds
    from started x
    join {{ ref("int_period_months") }} p on p.month_index = x.month_index
    join {{ ref("int_account_segments") }} s
        on s.grain = p.grain and s.period_start = p.period_start and s.account_id = x.account_id
)

{{ by_segment("sessions", "
    count(*) as sessions,
    sum(length_microseconds) as length_microseconds,
    " ~ percentile_of("length_microseconds", 0.5) ~ " as median_microseconds") }}
