{# Reading the lake. One relation per extract: every accepted row of every delivery, with its extract_date.
   `source()` is called for the lineage; the place itself is only known when the run starts. In a unit test the source
   is the relation: its rows stand in the test. #}

{% macro lake(system, extract) -%}
    {%- set delivered = source(system, extract) -%}
    {%- if model.resource_type == "unit_test" -%}
    {{ delivered }}
    {%- else -%}
    read_parquet('{{ var("lake", "lake") }}/{{ system }}/{{ extract }}/*/*.parquet',
        hive_partitioning = true, hive_types = {'extract_date': date})
    {%- endif -%}
{%- endmacro %}
