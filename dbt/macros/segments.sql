{# Segments: the total and each configured dimension, by grouping sets in one pass, within every value of `keys`; `own_dimensions` are
   columns that segment this one relation beside the configured ones. #}

{% macro by_segment(relation, measures, keys=["grain", "period_start"], own_dimensions=[]) -%}
    {%- set dimensions = var("segment_dimensions") + own_dimensions -%}
    {%- set key = keys | join(", ") -%}
    select {{ key }},
        case {% for d in dimensions %}when grouping({{ d }}) = 0 then '{{ d }}' {% endfor %}when true then 'total' end as segment_dimension,
        case {% for d in dimensions %}when grouping({{ d }}) = 0 then {{ d }} {% endfor %}when true then 'all' end as segment_value,
        {{ measures }}
    from {{ relation }}
    group by grouping sets (({{ key }}){% for d in dimensions %}, ({{ key }}, {{ d }}){% endfor %})
{%- endmacro %}

{# Every segment value ever seen in `relation` in every period from the grain's first one on, gaps included. #}
{% macro dense_grid(relation) -%}
    (select p.grain, p.period_start, s.segment_dimension, s.segment_value
    from {{ ref("int_periods") }} p
    join (select grain, min(period_start) as first_period from {{ relation }} group by grain) f
        on f.grain = p.grain and p.period_start >= f.first_period
    cross join (select distinct segment_dimension, segment_value from {{ relation }}) s)
{%- endmacro %}
