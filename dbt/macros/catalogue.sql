{# The rows of the catalogue, as mappings; empty while dbt only parses. #}
{% macro catalogue() -%}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set rows = run_query("select metric_id, table_name, value_column, numerator, denominator, interval_method, sample from "
        ~ ref("metrics") ~ " order by metric_id") -%}
    {{ return(rows.rows) }}
{%- endmacro %}

{# The 95 % Wilson score interval of a proportion; `sign` is -1 for the lower and 1 for the upper bound. #}
{% macro wilson_bound(sign) -%}
    {%- set z = 1.959963984540054 -%}
    case when interval_method <> 'wilson' or value is null or denominator = 0 then null
        when numerator = {{ "denominator then 1.0" if sign > 0 else "0 then 0.0" }}
        else
        (numerator / denominator + {{ z * z / 2 }} / denominator {{ "+" if sign > 0 else "-" }} {{ z }} * sqrt(
            numerator / denominator * (1 - numerator / denominator) / denominator + {{ z * z / 4 }} / (denominator * denominator)))
        / (1 + {{ z * z }} / denominator) end
{%- endmacro %}
