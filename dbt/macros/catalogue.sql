{# The rows of the catalogue, as mappings; empty while dbt only parses, and where the seed was never loaded: documentation is also
   generated for an empty warehouse. A unit test reads the seed itself: rows that stand in the test are known to its own query only. #}
{% macro catalogue() -%}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set seed = ref("metrics") -%}
    {%- if model.resource_type == "unit_test" -%}
        {%- set seed = api.Relation.create(database=target.database, schema=target.schema, identifier="metrics") -%}
    {%- endif -%}
    {%- if not load_relation(seed) -%}{{ return([]) }}{%- endif -%}
    {%- set rows = run_query("select metric_id, direction, table_name, value_column, numerator, denominator, interval_method, sample from "
        ~ seed ~ " order by metric_id") -%}
    {{ return(rows.rows) }}
{%- endmacro %}

{# What the catalogue names, for a model that reads it: parsing does not see the rows of a seed. #}
{% macro depends_on_the_catalogue() -%}
    -- depends_on: {{ ref("metrics") }}
    {%- for table in ["mrr", "churn", "retention", "nrr", "ltv", "engagement", "satisfaction", "support", "expansion", "onboarding", "trials"] %}
    -- depends_on: {{ ref("kpi_" ~ table) }}
    {%- endfor %}
{% endmacro %}

{# The 95 % interval of a row, by the catalogue's interval_method; `sign` is -1 for the lower and 1 for the upper bound. NULL where
   there is no method or nothing to count. #}
{% macro interval_bound(sign) -%}
    case when denominator = 0 or value is null then null
        when interval_method = 'wilson' then {{ wilson_bound(sign) }}
        when interval_method = 'nps' then {{ nps_bound(sign) }} end
{%- endmacro %}

{% macro z95() %}1.959963984540054{% endmacro %}

{# The Wilson score interval of a proportion. #}
{% macro wilson_bound(sign) -%}
    {%- set z = z95() | float -%}
    case when numerator = {{ "denominator then 1.0" if sign > 0 else "0 then 0.0" }}
        else
        (numerator / denominator + {{ z * z / 2 }} / denominator {{ "+" if sign > 0 else "-" }} {{ z }} * sqrt(
            numerator / denominator * (1 - numerator / denominator) / denominator + {{ z * z / 4 }} / (denominator * denominator)))
        / (1 + {{ z * z }} / denominator) end
{%- endmacro %}

{# The normal interval of an NPS in points: every response is 1, 0 or -1, so their squares add up to the `opinions`, promoters plus
   detractors. Not cut at -100 and 100. #}
{% macro nps_bound(sign) -%}
    100 * (numerator / denominator {{ "+" if sign > 0 else "-" }} {{ z95() }} * sqrt(
        (opinions / denominator - numerator / denominator * (numerator / denominator)) / denominator))
{%- endmacro %}
