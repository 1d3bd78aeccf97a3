{# The targets in use: the CSV that the pipeline validated and names in the var `targets`, else the seed;
   in a unit test the seed, whose rows stand in the test. #}

{% macro targets_in_use() -%}
    {%- set seed = ref("kpi_targets") -%}
    {%- if var("targets", none) and model.resource_type != "unit_test" -%}
    read_csv('{{ var("targets") | replace("'", "''") }}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
        columns = {'metric_id': 'varchar', 'grain': 'varchar', 'segment_dimension': 'varchar', 'segment_value': 'varchar',
            'valid_from': 'date', 'target': 'double', 'warning_threshold': 'double', 'owner': 'varchar', 'reviewed_on': 'date'})
    {%- else -%}
    {{ seed }}
    {%- endif -%}
{%- endmacro %}
