{#- A view: the tables are written once, into the candidate. -#}
{{ config(materialized="view") }}
{{ depends_on_the_catalogue() }}
with metric_rows as (
    {%- set metrics = catalogue() %}
    {% for m in metrics -%}
    select '{{ m.metric_id }}' as metric_id, grain, period_start, segment_dimension, segment_value, period_end, is_complete,
        cast({{ m.value_column }} as double) as value,
        cast({{ m.numerator or "null" }} as double) as numerator,
        cast({{ m.denominator or "null" }} as double) as denominator,
        '{{ m.interval_method or "" }}' as interval_method,
        cast({{ "promoters + detractors" if m.interval_method == "nps" else "null" }} as double) as opinions,
        coalesce({{ m.sample or "null" }} < {{ var("small_sample") }}, false) as is_small_sample
    from {{ ref(m.table_name) }}
    {{ "union all" if not loop.last }}
    {% endfor %}
    {%- if not metrics %}select 1{% endif %}
)

select metric_id, grain, period_start, segment_dimension, segment_value, period_end,
    value, numerator, denominator,
    {{ interval_bound(-1) }} as ci_low,
    {{ interval_bound(1) }} as ci_high,
    is_complete, is_small_sample
from metric_rows
