{# How DuckDB writes tables down. #}

{# Of a table with the config `uncompressed`, DuckDB writes the columns that it names as they are. On ids, which hardly repeat, dictionaries take
   more than half the time of writing sessions, and leaving them out costs disk: two fifths more of the warehouse where usage is most of it. #}
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
