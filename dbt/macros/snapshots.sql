{# The days on which balances are taken: where a period is measured, the day before it opens, and 12 months before it is measured. #}
{% macro snapshot_days() -%}
    (select measured_on as snapshot_on from {{ ref("int_periods") }}
    union
    select opening_on from {{ ref("int_periods") }}
    union
    select year_ago_on from {{ ref("int_periods") }})
{%- endmacro %}
