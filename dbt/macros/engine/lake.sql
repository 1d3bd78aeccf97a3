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

{# The files of one delivery, or of all of them, as a pattern. The delivery of year 9999 is there always, and empty: it comes last,
   as DuckDB takes all files to be of the first one's size when it decides which side of a join it keeps in memory. #}
{% macro files_of(system, extract, delivery="*") -%}
    '{{ var("lake", "lake") | replace("'", "''") }}/{{ system }}/{{ extract }}/{{ delivery if delivery == "*" else "extract_date=" ~ delivery }}/*.parquet'
{%- endmacro %}

{% macro files_of_deliveries(system, extract, deliveries) -%}
    {%- for delivery in deliveries + ["9999-12-31"] %}{{ files_of(system, extract, delivery) }}{{ ", " if not loop.last }}{% endfor -%}
{%- endmacro %}
