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

{# The same, one set after the other: the states of percentiles are their values, which grouping sets would move about together. The relation
   is to be materialized. #}
{% macro by_one_segment_at_a_time(relation, measures) -%}
    {%- for d in ["total"] + var("segment_dimensions") -%}
    {{ "union all " if not loop.first -}}
    select grain, period_start, '{{ d }}' as segment_dimension, {{ "'all'" if d == "total" else d }} as segment_value,
        {{ measures }}
    from {{ relation }}
    group by grain, period_start{{ ", " ~ d if d != "total" }}
    {% endfor %}
{%- endmacro %}

{# Of a table of accounts and periods the rows that a kept model makes anew, with their segments. #}
{% macro outdated_with_segments(relation) -%}
    (select *
    from {{ relation }}
    join {{ ref("int_account_segments") }} using (grain, period_start, account_id)
    where {{ is_outdated_period() }}) as accounts
{%- endmacro %}

{# Every segment value ever seen in `relation` in every period from the grain's first one on, gaps included. #}
{% macro dense_grid(relation) -%}
    (select p.grain, p.period_start, s.segment_dimension, s.segment_value
    from {{ ref("int_periods") }} p
    join (select grain, min(period_start) as first_period from {{ relation }} group by grain) f
        on f.grain = p.grain and p.period_start >= f.first_period
    cross join (select distinct segment_dimension, segment_value from {{ relation }}) s)
{%- endmacro %}

{# The rows of `relation` on that grid, each beside what int_periods says of its period; its own columns are NULL in the gaps. #}
{% macro on_dense_grid(relation) -%}
    (select *
    from {{ dense_grid(relation) }} g
    join {{ ref("int_periods") }} using (grain, period_start)
    left join {{ relation }} using (grain, period_start, segment_dimension, segment_value))
{%- endmacro %}

{# A count of such a relation: 0 in the gaps. #}
{% macro count_column(name) -%}
    cast(coalesce({{ name }}, 0) as bigint) as {{ name }}
{%- endmacro %}
