{# The main plan or product: the largest MRR summed by value, ties alphabetical. #}
{% macro main_value(relation, keys, value) -%}
    (select {{ keys | join(", ") }}, {{ value }}
    from (
        select {{ keys | join(", ") }}, {{ value }},
            row_number() over (partition by {{ keys | join(", ") }} order by sum(mrr) desc, {{ value }}) as position
        from {{ relation }}
        group by {{ keys | join(", ") }}, {{ value }}
    ) as ranked
    where position = 1)
{%- endmacro %}
