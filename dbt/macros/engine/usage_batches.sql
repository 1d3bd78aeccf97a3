{# Usage is computed by days, a batch of days at a time: what a batch reads stays in memory, and a night touches the days it must.
   The batch in hand is state of the session, so that the staging view can stand between the lake and the models. Without a batch the
   view shows everything. #}

{% macro delivered_in_batch(extract_date) -%}
    (getvariable('batch_deliveries') is null or list_contains(cast(getvariable('batch_deliveries') as date[]), {{ extract_date }}))
{%- endmacro %}

{% macro happened_in_batch(day) -%}
    (getvariable('batch_first_day') is null
        or {{ day }} between cast(getvariable('batch_first_day') as date) and cast(getvariable('batch_last_day') as date))
{%- endmacro %}

{# How many events each delivery holds of each local date, and whether that changed since the last build: what ingest recorded, else
   what the lake says. In a unit test the source tells it. #}
{% macro usage_index() -%}
    {%- if var("usage_index", none) and model.resource_type != "unit_test" -%}
    (select extract_date, event_date, events, is_changed from read_parquet('{{ var("usage_index") | replace("'", "''") }}'))
    {%- else -%}
    (select extract_date, cast(occurred_at as date) as event_date, count(*) as events, true as is_changed
    from {{ lake("usage", "events") }}
    where extract_date <= {{ as_of() }}
    group by extract_date, cast(occurred_at as date))
    {%- endif -%}
{%- endmacro %}

{# Runs of adjoining days to recompute, of about `events` each, with the deliveries that hold any of their events. #}
{% macro usage_batches(events=2000000) -%}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set rows = run_query("
        with days as (
            select d.event_date, d.is_recomputed, coalesce(i.events, 0) as events
            from " ~ ref("int_usage_days") ~ " d
            left join (select event_date, sum(events) as events from " ~ ref("stg_usage__event_days") ~ " group by event_date) i using (event_date)
        ), numbered as (
            select *, sum(case when is_recomputed then 0 else 1 end) over (order by event_date) as island,
                (sum(events) over (order by event_date) - events) // " ~ events ~ " as bucket
            from days
        ), batches as (
            select min(event_date) as first_day, max(event_date) as last_day, cast(sum(events) as bigint) as events
            from numbered where is_recomputed group by island, bucket
        )
        select b.first_day, b.last_day, b.events, string_agg(distinct 'date ''' || i.extract_date || '''', ', ') as deliveries
        from batches b
        left join " ~ ref("stg_usage__event_days") ~ " i on i.event_date between b.first_day and b.last_day and i.extract_date is not null
        group by b.first_day, b.last_day, b.events
        order by b.first_day") -%}
    {{ return(rows.rows) }}
{%- endmacro %}

{# A table computed from the usage of the days of `int_usage_days` that are to be recomputed; it has an `event_date`. The other days
   stay as the last build left them. #}
{% materialization usage_by_day, adapter="duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or not existing.is_table or should_full_refresh() -%}
        {%- if existing is not none %}{% do adapter.drop_relation(existing) %}{% endif -%}
        {%- call statement("create") %}create table {{ this }} as select * from ({{ sql }}) as computed limit 0{% endcall -%}
    {%- endif -%}
    {%- set batches = usage_batches() -%}
    {%- for batch in batches -%}
        {%- do log(this.identifier ~ ": " ~ batch.first_day ~ " to " ~ batch.last_day ~ ", " ~ "{:,}".format(batch.events)
            ~ " events (" ~ loop.index ~ " of " ~ loop.length ~ " batches)", info=true) -%}
        {%- call statement("batch") %}
            set variable batch_first_day = date '{{ batch.first_day }}';
            set variable batch_last_day = date '{{ batch.last_day }}';
            set variable batch_deliveries = [{{ batch.deliveries or "" }}];
            delete from {{ this }} where event_date between date '{{ batch.first_day }}' and date '{{ batch.last_day }}';
            insert into {{ this }} {{ sql }}
        {% endcall -%}
    {%- endfor -%}
    {%- call statement("main") %}
        reset variable batch_first_day;
        reset variable batch_last_day;
        reset variable batch_deliveries
    {% endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [this.incorporate(type="table")]}) }}
{% endmaterialization %}

{# A model as the last build left it, or none where everything is built anew; not a `ref`, as it is read before it is built. #}
{% macro last_build_of(name) -%}
    {%- if not execute or should_full_refresh() or model.resource_type == "unit_test" -%}{{ return(none) }}{%- endif -%}
    {{ return(adapter.get_relation(this.database, this.schema, name)) }}
{%- endmacro %}
