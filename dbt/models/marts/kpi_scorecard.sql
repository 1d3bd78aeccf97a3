{#- A view, as `kpi_values` is. -#}
{{ config(materialized="view") }}
with figures as (
    -- every period of a figure has a row, so the n-th row before is the n-th period before
    select metric_id, grain, period_start, segment_dimension, segment_value, value,
        lag(value) over w as previous_value,
        case grain when 'month' then lag(value, 12) over w when 'quarter' then lag(value, 4) over w
            else lag(value) over w end as year_ago_value
    from {{ ref("kpi_values") }}
    window w as (partition by metric_id, grain, segment_dimension, segment_value order by period_start)
)

select
    f.metric_id,
    f.grain,
    f.period_start,
    f.segment_dimension,
    f.segment_value,
    f.value,
    t.target,
    t.warning_threshold,
    case when t.target is null then 'no_target'
        when f.value is null then 'no_data'
        when m.direction = 'up' and f.value >= t.target or m.direction = 'down' and f.value <= t.target then 'on_track'
        when m.direction = 'up' and f.value >= t.warning_threshold
            or m.direction = 'down' and f.value <= t.warning_threshold then 'at_risk'
        else 'missed' end as status,
    f.previous_value,
    f.value - f.previous_value as change,
    f.year_ago_value,
    f.value - f.year_ago_value as year_change
from figures f
join {{ ref("metrics") }} m on m.metric_id = f.metric_id
left join {{ ref("int_targets") }} t
    on t.metric_id = f.metric_id and t.grain = f.grain
    and t.segment_dimension = f.segment_dimension and t.segment_value = f.segment_value
    and t.valid_from <= f.period_start and (t.valid_to is null or f.period_start < t.valid_to)
