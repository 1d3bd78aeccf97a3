{# Some tables keep from build to build the rows that nothing new could change, and only the others are made anew. A figure depends on facts
   dated by the end of its day or period and on no later ones: what ends before the first day of which a fact changed (`int_fact_days`) is as
   it was. A model tells its outdated rows by one of the macros below, and selects no others. #}

{# A table of kept rows and of rows made anew; the config `outdated` names the macro that tells which ones they are. #}
{% materialization kept, adapter="duckdb" %}
    {{ run_hooks(pre_hooks) }}
    {%- call statement("main") %}
        {% if kept_table() %}insert into {{ this }} by name {{ sql }}{% else %}{{ create_table_as(false, this, sql) }}{% endif %}
    {% endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [this.incorporate(type="table")]}) }}
{% endmaterialization %}

{# The table that a materialization adds to, less the rows that the macro tells which the config `outdated` may name; none where it is to be
   created, and whatever stood there is gone. #}
{% macro kept_table() -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and (not existing.is_table or should_full_refresh()) -%}
        {%- do adapter.drop_relation(existing) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if existing is not none and config.get("outdated") -%}
        {%- call statement("outdated") %}delete from {{ this }} where {{ context[config.get("outdated")]() }}{% endcall -%}
    {%- endif -%}
    {{ return(existing) }}
{%- endmacro %}

{# The first day of which a fact changed since the last build, and the first days of its month, quarter and year; none where everything is
   made anew. Whoever asks has to be built after `int_fact_days`, as all that reads `int_periods` is. #}
{% macro first_changed_days() -%}
    {%- set facts = last_build_of("int_fact_days") if last_build_of(model.name) else none -%}
    {%- if not facts -%}{{ return(none) }}{%- endif -%}
    {%- set found = run_query("
        with changed as (
            select greatest(coalesce(min(day), cast('9000-01-01' as date)), cast('1000-01-01' as date)) as day
            from " ~ facts ~ " where is_changed
        )
        select cast(day as varchar) as day, cast(" ~ fiscal_start("day", 1) ~ " as varchar) as month,
            cast(" ~ fiscal_start("day", 3) ~ " as varchar) as quarter, cast(" ~ fiscal_start("day", 12) ~ " as varchar) as year
        from changed") -%}
    {{ return(found.rows[0]) }}
{%- endmacro %}

{% macro is_outdated_period(grain="grain", period_start="period_start") -%}
    {%- set first = first_changed_days() -%}
    {%- if first is none -%}true{%- else -%}
    ({{ period_start }} >= cast('{{ first.year }}' as date) and {{ period_start }} >= case {{ grain }} when 'month' then cast('{{ first.month }}' as date)
        when 'quarter' then cast('{{ first.quarter }}' as date) else cast('{{ first.year }}' as date) end)
    {%- endif -%}
{%- endmacro %}

{% macro is_outdated_month(month="month_index") -%}
    {%- set first = first_changed_days() -%}
    {%- if first is none -%}true{%- else -%}{{ month }} >= {{ month_index("cast('" ~ first.month ~ "' as date)") }}{%- endif -%}
{%- endmacro %}

{# A month index by which to add up what came before: of the months before the first outdated year, in which no outdated period begins or ends,
   only the sum is asked for, and they all count as the last of them. #}
{% macro month_or_last_kept(month) -%}
    {%- set first = first_changed_days() -%}
    {%- if first is none -%}{{ month }}{%- else -%}greatest({{ month }}, {{ month_index("cast('" ~ first.year ~ "' as date)") }} - 1){%- endif -%}
{%- endmacro %}

{# Of the days on which balances are taken: those that no row is of, once the outdated ones went. #}
{% macro is_new_snapshot(snapshot_on) -%}
    {%- if first_changed_days() is none -%}true{%- else -%}{{ snapshot_on }} not in (select snapshot_on from {{ this }}){%- endif -%}
{%- endmacro %}

{% macro is_outdated_snapshot() -%}
    snapshot_on >= cast('{{ first_changed_days().day }}' as date) or snapshot_on not in (select snapshot_on from {{ snapshot_days() }})
{%- endmacro %}
