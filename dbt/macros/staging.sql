{# What staging does with a delta extract: of all deliveries up to the as-of date, the newest row per key, unless it says that the
   row was deleted. #}

{% macro newest_per_key(system, extract, columns, key, newer_by="extract_date") -%}
    select {{ columns | join(", ") }}
    from (
        select *, row_number() over (
            partition by {{ key | join(", ") }}
            order by {{ newer_by }} desc nulls last, extract_date desc, _file desc, _row desc) as newest
        from {{ lake(system, extract) }}
        where extract_date <= {{ as_of() }}
    ) as versions
    where newest = 1 and not coalesce(is_deleted, false)
{%- endmacro %}
