{# The two facts of a run that models may ask for. #}

{% macro as_of() %}cast('{{ var("as_of", "1970-01-01") }}' as date){% endmacro %}

{% macro reporting_currency() %}'{{ var("reporting_currency") }}'{% endmacro %}
