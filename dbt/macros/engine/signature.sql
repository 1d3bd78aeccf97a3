{# A number that tells the content of a group's rows, whatever their order: the sum of 64 bits of each. #}
{% macro content_signature(columns) -%}
    sum(cast(hash({{ columns | join(", ") }}) as hugeint))
{%- endmacro %}
