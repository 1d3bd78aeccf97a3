with trials as (
    select *
    from {{ ref("int_trials") }} t
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("t.ended_on") }}
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
),

figures as (
    {{ by_segment("trials", "
        count(*) as trials_ended,
        count(*) filter (where is_converted) as trials_converted") }}
)

select
    grain, period_start, period_end, period_label,
    {{ days_after("period_end", 30) }} <= {{ as_of() }} as is_complete,
    segment_dimension, segment_value,
    {{ count_column("trials_ended") }},
    {{ count_column("trials_converted") }},
    {{ ratio("trials_converted", "trials_ended") }} as trial_conversion_rate
from {{ on_dense_grid("figures") }}
