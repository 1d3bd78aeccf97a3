{#- A view, as `kpi_values` is; it looks back in the tables, of which each has several metrics, as that is faster than in all metrics. -#}
{{ config(materialized="view") }}
{{ depends_on_the_catalogue() }}
{%- set metrics = catalogue() %}
with
{%- for table, of_table in metrics | groupby("table_name") %}
{{ table }}_by_period as materialized (
    -- every period of a figure has a row, so the n-th row before is the n-th period before
    select grain, period_start, segment_dimension, segment_value
        {%- for m in of_table %},
        {{ m.value_column }} as {{ m.metric_id }},
        lag({{ m.value_column }}) over w as previous_{{ m.metric_id }},
        case grain when 'month' then lag({{ m.value_column }}, 12) over w when 'quarter' then lag({{ m.value_column }}, 4) over w
            else lag({{ m.value_column }}) over w end as year_ago_{{ m.metric_id }}
        {%- endfor %}
    from {{ ref(table) }}
    window w as (partition by grain, segment_dimension, segment_value order by period_start)
),
{%- endfor %}

figures as (
    {% for m in metrics -%}
    select '{{ m.metric_id }}' as metric_id, '{{ m.direction }}' as direction, grain, period_start, segment_dimension, segment_value,
        cast({{ m.metric_id }} as double) as value,
        cast(previous_{{ m.metric_id }} as double) as previous_value,
        cast(year_ago_{{ m.metric_id }} as double) as year_ago_value
    from {{ m.table_name }}_by_period
    {{ "union all" if not loop.last }}
    {% endfor -%}
    {%- if not metrics %}select 1{% endif %}
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
        when f.direction = 'up' and f.value >= t.target or f.direction = 'down' and f.value <= t.target then 'on_track'
        when f.direction = 'up' and f.value >= t.warning_threshold
            or f.direction = 'down' and f.value <= t.warning_threshold then 'at_risk'
        else 'missed' end as status,
    f.previous_value,
    f.value - f.previous_value as change,
    f.year_ago_value,
    f.value - f.year_ago_value as year_change
from figures f
left join {{ ref("int_targets") }} t
    on t.metric_id = f.metric_id and t.grain = f.grain
    and t.segment_dimension = f.segment_dimension and t.segment_value = f.segment_value
    and t.valid_from <= f.period_start and (t.valid_to is null or f.period_start < t.valid_to)
