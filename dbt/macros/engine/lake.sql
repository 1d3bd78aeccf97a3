{# Reading the lake. One relation per extract: every accepted row of every delivery, with its extract_date.
   `source()` is called for the lineage; the place itself is only known when the run starts. #}

{% macro lake(system, extract) -%}
    {%- do source(system, extract) -%}
    read_parquet('{{ var("lake", "lake") }}/{{ system }}/{{ extract }}/*/*.parquet',
        hive_partitioning = true, hive_types = {'extract_date': date})
{%- endmacro %}
