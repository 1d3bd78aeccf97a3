{# Some tables are computed a batch at a time, and keep from build to build what did not change: what a batch reads stays in memory, and
   a night does the work of that night. The batch in hand is state of the session, so that a view can stand between the lake and a table.
   Without a batch everything is in it. #}

{# The delivery that holds most events of a date of the batch. #}
{% macro main_delivery(day) -%}
    cast(getvariable('batch_main_deliveries') as date[])[{{ days_between("cast(getvariable('batch_first_day') as date)", day) }} + 1]
{%- endmacro %}

{# Usually the main deliveries of a batch all come the same number of days after their dates: then no list is looked into for every event. #}
{% macro is_main_delivery(day, extract_date) -%}
    case when getvariable('batch_main_delay') is null then coalesce({{ main_delivery(day) }} = {{ extract_date }}, false)
        else {{ days_between(day, extract_date) }} = getvariable('batch_main_delay') end
{%- endmacro %}

{# Whether the batch may hold an event delivered before the main delivery of its date: a constant, as below. #}
{% macro batch_has_early_events() -%}
    coalesce(cast(getvariable('batch_has_early_events') as boolean), true)
{%- endmacro %}

{% macro happened_in_batch(day) -%}
    (getvariable('batch_first_day') is null
        or {{ day }} between cast(getvariable('batch_first_day') as date) and cast(getvariable('batch_last_day') as date))
{%- endmacro %}

{# Whether the batch may hold an event without a value of a column, as the footers of its files tell: a constant, so that nothing is read to
   find none. #}
{% macro batch_lacks(column) -%}
    coalesce(list_contains(cast(getvariable('batch_columns_with_nulls') as varchar[]), '{{ column }}'), true)
{%- endmacro %}

{# Whether the columns are a row of the query. A plain IN is a join of which DuckDB keeps that side in memory which it takes for the smaller, and
   of many files with many conditions it expects too few rows by far. #}
{% macro is_among(columns, query) -%}
    coalesce(({{ columns }}) in ({{ query }}), false)
{%- endmacro %}

{% macro columns_with_nulls(files) -%}
    coalesce((select list(distinct path_in_schema) from parquet_metadata({{ files }}) where coalesce(stats_null_count, 1) > 0), [])
{%- endmacro %}

{% macro period_in_batch(grain, period_start) -%}
    (getvariable('batch_grain') is null or ({{ grain }} = getvariable('batch_grain')
        and list_contains(cast(getvariable('batch_periods') as date[]), {{ period_start }})))
{%- endmacro %}

{# Whether two rows are of the same grain, where both were asked whether they are in the batch: a batch has one. #}
{% macro same_grain_in_batch(one, other) -%}
    (getvariable('batch_grain') is not null or {{ one }} = {{ other }})
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

{# Batches of a table with an `event_date`: runs of adjoining days of `int_usage_days` that are to be recomputed, of about five million
   events each, with the deliveries that hold any of their events, and for each date from the first to the last the one that holds most.
   Fewer events give a thread less than a row group to insert, and DuckDB appends such rests one thread at a time. #}
{% macro usage_batches() -%}
    {%- set rows = run_query("
        with days as (
            select d.event_date, d.is_recomputed, coalesce(i.events, 0) as events
            from " ~ ref("int_usage_days") ~ " d
            left join (select event_date, sum(events) as events from " ~ ref("stg_usage__event_days") ~ " group by event_date) i
                using (event_date)
        ), numbered as (
            select *, sum(case when is_recomputed then 0 else 1 end) over (order by event_date) as island,
                (sum(events) over (order by event_date) - events) // " ~ var("events_per_batch", 5000000) ~ " as bucket
            from days
        ), batches as (
            select min(event_date) as first_day, max(event_date) as last_day, cast(sum(events) as bigint) as events
            from numbered where is_recomputed group by island, bucket
        ), main as (
            select event_date, " ~ first_by("extract_date", {"events": "-events", "day": "extract_date"}) ~ " as extract_date
            from " ~ ref("stg_usage__event_days") ~ " group by event_date
        ), dates as (
            select b.first_day, list(m.extract_date order by d.day) as main_deliveries,
                case when count(distinct " ~ days_between("d.day", "m.extract_date") ~ ") = 1
                    then any_value(" ~ days_between("d.day", "m.extract_date") ~ ") end as main_delay
            from batches b
            cross join lateral (select cast(unnest(generate_series(b.first_day, b.last_day, interval 1 day)) as date) as day) d
            left join main m on m.event_date = d.day
            group by b.first_day
        )
        select b.first_day, b.last_day, b.events, cast(any_value(d.main_deliveries) as varchar) as main_deliveries,
            any_value(d.main_delay) as main_delay,
            string_agg(distinct cast(i.extract_date as varchar), ' ') as deliveries,
            coalesce(bool_or(i.extract_date < m.extract_date), false) as has_early_events
        from batches b
        join dates d on d.first_day = b.first_day
        left join " ~ ref("stg_usage__event_days") ~ " i on i.event_date between b.first_day and b.last_day
        left join main m on m.event_date = i.event_date
        group by b.first_day, b.last_day, b.events
        order by b.first_day").rows -%}
    {%- set batches = [] -%}
    {%- for b in rows -%}
        {%- set files = "[" ~ files_of_deliveries("usage", "events", (b.deliveries or "").split()) ~ "]" -%}
        {%- do batches.append({
            "told": b.first_day ~ " to " ~ b.last_day ~ ", " ~ "{:,}".format(b.events) ~ " events",
            "replaces": "event_date between date '" ~ b.first_day ~ "' and date '" ~ b.last_day ~ "'",
            "variables": {"batch_first_day": "date '" ~ b.first_day ~ "'", "batch_last_day": "date '" ~ b.last_day ~ "'",
                "batch_files": files,
                "batch_columns_with_nulls": columns_with_nulls(files),
                "batch_main_deliveries": "cast('" ~ b.main_deliveries ~ "' as date[])",
                "batch_main_delay": "null" if b.main_delay is none else b.main_delay,
                "batch_has_early_events": b.has_early_events | string}}) -%}
    {%- endfor -%}
    {{ return(batches) }}
{%- endmacro %}

{# The same of a table of the events that are onboarding steps: none where none is. #}
{% macro event_batches() -%}
    {{ return(usage_batches() if onboarding_event_steps() else []) }}
{%- endmacro %}

{# Batches of a table with grain and period_start: the outdated periods of `int_periods`, a grain and twelve months at a time. #}
{% macro period_batches() -%}
    {%- set rows = run_query("
        select grain, string_agg('date ''' || period_start || '''', ', ') as periods, min(period_start) as first_period, count(*) as found,
            max(period_end) as last_day
        from " ~ ref("int_periods") ~ " where " ~ is_outdated_period() ~ "
        group by grain, " ~ fiscal_bucket("period_start", 12) ~ "
        order by grain, first_period").rows -%}
    {%- set batches = [] -%}
    {%- for b in rows -%}
        {%- do batches.append({
            "told": b.found ~ " " ~ b.grain ~ "s from " ~ b.first_period,
            "replaces": "grain = '" ~ b.grain ~ "' and period_start in (" ~ b.periods ~ ")",
            "variables": {"batch_grain": "'" ~ b.grain ~ "'", "batch_periods": "[" ~ b.periods ~ "]",
                "batch_first_day": "date '" ~ b.first_period ~ "'", "batch_last_day": "date '" ~ b.last_day ~ "'"}}) -%}
    {%- endfor -%}
    {{ return(batches) }}
{%- endmacro %}

{# Around a statement that asks for the columns alone: to tell them, DuckDB would look through the folders of all deliveries of usage. #}
{% macro as_batch_of_nothing() %}set variable batch_files = [{{ file_of_no_delivery("usage", "events") }}]{% endmacro %}
{% macro after_batch_of_nothing() %}reset variable batch_files{% endmacro %}

{# A table made of batches; the config `batches` names the macro that lists those to compute. Its rows of other batches stay, unless they are
   outdated (`kept_table`). #}
{% materialization in_batches, adapter="duckdb" %}
    {{ run_hooks(pre_hooks) }}
    {%- if not kept_table() -%}
        {%- do run_query(as_batch_of_nothing()) -%}
        {%- call statement("create") %}{{ create_table_as(false, this, "select * from (" ~ sql ~ ") as computed limit 0") }}{% endcall -%}
        {%- do run_query(after_batch_of_nothing()) -%}
    {%- endif -%}
    {%- set batches = context[config.get("batches")]() -%}
    {%- for batch in batches -%}
        {%- do log(this.identifier ~ ": " ~ batch.told ~ " (" ~ loop.index ~ " of " ~ loop.length ~ " batches)", info=true) -%}
        {%- call statement("batch") %}
            {% for name, value in batch.variables.items() %}set variable {{ name }} = {{ value }};
            {% endfor -%}
            delete from {{ this }} where {{ batch.replaces }};
            insert into {{ this }} {{ sql }};
            {% for name in batch.variables %}reset variable {{ name }};
            {% endfor -%}
        {% endcall -%}
    {%- endfor -%}
    {%- call statement("main") %}select {{ batches | length }} as batches{% endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [this.incorporate(type="table")]}) }}
{% endmaterialization %}

{# A model as the last build left it, or none where everything is built anew; not a `ref`, as it is read before it is built. #}
{% macro last_build_of(name) -%}
    {%- if not execute or should_full_refresh() or model.resource_type == "unit_test" -%}{{ return(none) }}{%- endif -%}
    {{ return(adapter.get_relation(this.database, this.schema, name)) }}
{%- endmacro %}
