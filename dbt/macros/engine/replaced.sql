{# A table or view takes the place of what stood under its name in one statement, where dbt makes it beside that, renames both and drops the
   old one: for most models of a night that takes longer than their rows. A table may read what it replaces. #}

{% materialization table, adapter="duckdb" %}
    {%- set body -%}
        {%- if config.get("contract").enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
        create or replace table {{ this }} {{ get_table_columns_and_constraints() }};
        insert into {{ this }} {{ get_column_names() }} ({{ get_select_subquery(sql) }})
        {%- else -%}
        create or replace table {{ this }} as ({{ sql }})
        {%- endif -%}
    {%- endset -%}
    {{ return(in_its_place("table", body)) }}
{% endmaterialization %}

{% materialization view, adapter="duckdb" %}
    {%- set body -%}
        {%- if config.get("contract").enforced -%}{{ get_assert_columns_equivalent(sql) }}{%- endif -%}
        create or replace view {{ this }} as ({{ sql }})
    {%- endset -%}
    {{ return(in_its_place("view", body)) }}
{% endmaterialization %}

{% macro in_its_place(type, body) -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement("main") %}
        {% if existing is not none and existing.type != type %}drop {{ existing.type }} {{ this }};{% endif %}
        {{ body }}
    {% endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [this.incorporate(type=type)]}) }}
{%- endmacro %}
