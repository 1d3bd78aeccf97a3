{# What staging does with a delta extract: of all deliveries up to the as-of date, the newest row per key, unless it says that the
   row was deleted. #}

{% macro newest_per_key(system, extract, columns, key, newer_by="extract_date") -%}
with delivered as (
    select *, {{ number_of(key) }} as key_number
    from {{ lake(system, extract) }}
    where extract_date <= {{ as_of() }}
),

-- the few keys that came more than once: the many others need no order
repeated as (
    select key_number from delivered group by key_number having count(*) > 1
),

versions as (
    select *, 1 as newest
    from delivered
    where not {{ is_among("key_number", "select key_number from repeated") }}
    union all
    select *, row_number() over (
        partition by {{ key | join(", ") }}
        order by {{ newer_by }} desc nulls last, extract_date desc, _file desc, _row desc) as newest
    from delivered
    where {{ is_among("key_number", "select key_number from repeated") }}
)

select {{ columns | join(", ") }}
from versions
where newest = 1 and not coalesce(is_deleted, false)
{%- endmacro %}

{# Of daily snapshots, the rows that are not what the delivery before them with the same key showed. The table grows with what changes,
   not with the deliveries: a night reads the deliveries after the one that `snapshots_read_until` names of the extract, all of them
   where it names none. #}

{% macro snapshot_versions(system, extract, key, values) -%}
    {%- set read_until = var("snapshots_read_until", {}).get(system ~ "/" ~ extract) if is_incremental() else none -%}
    {%- set columns = (key + values) | join(", ") -%}
with snapshots as (
    select {{ columns }}, extract_date
    from {{ lake(system, extract) }}
    where extract_date <= {{ as_of() }}{% if read_until %} and extract_date > cast('{{ read_until }}' as date){% endif %}
    {%- if read_until %}
    union all
    select {{ columns }}, extract_date
    from (
        select *, row_number() over (partition by {{ key | join(", ") }} order by extract_date desc) as newest from {{ this }}
    ) as known
    where newest = 1
    {%- endif %}
),

compared as (
    select *,
        row_number() over in_order = 1
            {%- for v in values %} or {{ v }} is distinct from lag({{ v }}) over in_order{% endfor %} as is_version
    from snapshots
    window in_order as (partition by {{ key | join(", ") }} order by extract_date)
)

select {{ columns }}, extract_date
from compared
where is_version{% if read_until %} and extract_date > cast('{{ read_until }}' as date){% endif %}
{%- endmacro %}

{# Before the versions are read anew, as deliveries before the last one changed, the old ones go. #}
{% macro without_outdated_versions(relation, extract) -%}
    {%- if is_incremental() and not var("snapshots_read_until", {}).get(extract) -%}
    delete from {{ relation }}
    {%- endif -%}
{%- endmacro %}

{# The deliveries of a snapshot extract that hold now: those of the newest date up to the as-of date. #}
{% macro newest_delivery(system, extract) -%}
    {%- set newest = var("newest_deliveries", {}).get(system ~ "/" ~ extract) -%}
    {%- if newest -%}
    cast('{{ newest }}' as date)
    {%- else -%}
    (select max(extract_date) from {{ lake(system, extract) }} where extract_date <= {{ as_of() }})
    {%- endif -%}
{%- endmacro %}
