{# The main plan or product: the largest MRR summed by value, ties alphabetical. #}
{% macro main_value(relation, keys, value) -%}
    (select {{ keys | join(", ") }}, {{ first_by(value, {"mrr": "-mrr", "value": value}) }} as {{ value }}
    from (
        select {{ keys | join(", ") }}, {{ value }}, sum(mrr) as mrr
        from {{ relation }}
        group by {{ keys | join(", ") }}, {{ value }}
    ) as summed
    group by {{ keys | join(", ") }})
{%- endmacro %}
