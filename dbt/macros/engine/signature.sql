{# A number that tells the content of a group's rows, whatever their order: the sum of 64 bits of each. #}
{% macro content_signature(columns) -%}
    sum(cast({{ number_of(columns) }} as hugeint))
{%- endmacro %}

{# A number that equal values of the columns share; different ones hardly ever do, and may. #}
{% macro number_of(columns) -%}
    hash({{ columns | join(", ") }})
{%- endmacro %}
