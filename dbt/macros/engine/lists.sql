{# Counted from 1. #}
{% macro item_of(values, position) -%}
    {{ values }}[{{ position }}]
{%- endmacro %}

{# The value of a group's first row in ascending order of the columns. #}
{% macro first_by(value, columns) -%}
    arg_min({{ value }}, {{ "{" }}{% for name, order in columns.items() %}'{{ name }}': {{ order }}{{ ", " if not loop.last }}{% endfor %}{{ "}" }})
{%- endmacro %}
