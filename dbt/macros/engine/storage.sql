{# How DuckDB writes tables down. #}

{# Of a table with the config `uncompressed`, which names text columns that hardly repeat, DuckDB writes those as they are: to try dictionaries on
   ids of their own takes more than twice the time of all the rest, and what is repeated stays as small. #}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language="sql", partitioned_by=none, sorted_by=none) -%}
    {%- set uncompressed = config.get("uncompressed", []) -%}
    {%- if not uncompressed or temporary -%}
        {{ return(dbt.duckdb__create_table_as(temporary, relation, compiled_code, language, partitioned_by, sorted_by)) }}
    {%- endif -%}
    create table {{ relation }} (
        {%- for column in adapter.get_column_schema_from_query(compiled_code) %}
        {{ adapter.quote(column.name) }} {{ column.data_type }}{{ " using compression uncompressed" if column.name in uncompressed }}
        {{- "," if not loop.last }}
        {%- endfor %}
    );
    insert into {{ relation }} {{ compiled_code }}
{%- endmacro %}
