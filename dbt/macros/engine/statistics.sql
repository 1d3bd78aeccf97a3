{# Medians and percentiles: exact, interpolated linearly between the two nearest ranks; NULL without values; a list for a list of shares.
   A filter may follow. #}

{% macro percentile_of(value, share) -%}
    quantile_cont({{ value }}, {{ share }})
{%- endmacro %}
