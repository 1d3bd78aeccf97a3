{# Reading the lake. One relation per extract: every accepted row of every delivery, with its extract_date.
   `source()` is called for the lineage; the place itself is only known when the run starts. In a unit test the source
   is the relation: its rows stand in the test. With `batched` only the deliveries of the batch in hand are read, where there is one: their files
   are named, as looking through the folders of years costs a batch more than reading its own. #}

{% macro lake(system, extract, batched=false) -%}
    {%- set delivered = source(system, extract) -%}
    {%- if model.resource_type == "unit_test" -%}
    {{ delivered }}
    {%- else -%}
    read_parquet({% if batched %}coalesce(cast(getvariable('batch_files') as varchar[]), [{{ files_of(system, extract) }}]){% else %}{{ files_of(system, extract) }}{% endif %},
        hive_partitioning = true, hive_types = {'extract_date': date})
    {%- endif -%}
{%- endmacro %}

{# All files, as a pattern. #}
{% macro files_of(system, extract) -%}
    {{ place_in_lake(system, extract, "*/*.parquet") }}
{%- endmacro %}

{# It is there always. #}
{% macro file_of_no_delivery(system, extract) -%}
    {{ place_in_lake(system, extract, "extract_date=9999-12-31/empty.parquet") }}
{%- endmacro %}

{# By name: looking through a folder takes longer than its file takes to open. The empty file comes last, as DuckDB takes all to be of the first
   one's size when it decides which side of a join it keeps in memory. #}
{% macro files_of_deliveries(system, extract, deliveries) -%}
    {%- for delivery in deliveries %}{{ place_in_lake(system, extract, "extract_date=" ~ delivery ~ "/part-0.parquet") }}, {% endfor -%}
    {{ file_of_no_delivery(system, extract) }}
{%- endmacro %}

{% macro place_in_lake(system, extract, place) -%}
    '{{ var("lake", "lake") | replace("'", "''") }}/{{ system }}/{{ extract }}/{{ place }}'
{%- endmacro %}
