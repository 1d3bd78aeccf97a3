{# A number that tells the content of a group's rows, whatever their order: the sum of 64 bits of each. #}
{% macro content_signature(columns) -%}
    sum(cast({{ row_signature(columns) }} as hugeint))
{%- endmacro %}

{# A number of a row's content: rows with different ones differ. #}
{% macro row_signature(columns) -%}
    hash({{ columns | join(", ") }})
{%- endmacro %}
