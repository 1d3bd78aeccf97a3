{# Ends the query with a message made of a SQL text expression; only where the row is reached. #}

{% macro refuse(message) -%}
    error('refused: ' || {{ message }})
{%- endmacro %}
