{%- set fiscal_offset = var("fiscal_year_start_month") - 1 -%}
-- built before whatever counts periods, which asks it what changed: depends_on: {{ ref("int_fact_days") }}
with months as (
    select cast(n as integer) as m
    from {{ integer_series(
        "(select " ~ month_index("first_day") ~ " from " ~ ref("int_first_day") ~ ")", month_index(as_of())) }} as series
),

starts as (
    select distinct 'month' as grain, m as first_month, 1 as months from months
    {% for grain, months in [("quarter", 3), ("year", 12)] -%}
    union all
    select distinct '{{ grain }}',
        cast({{ whole_division("m - " ~ fiscal_offset, months) }} * {{ months }} + {{ fiscal_offset }} as integer), {{ months }}
    from months
    {% endfor %}
),

bounds as (
    select grain, first_month, months,
        {{ month_first_day("first_month") }} as period_start,
        {{ month_last_day("first_month + months - 1") }} as period_end,
        cast({{ whole_division("first_month - " ~ fiscal_offset, 12) }} as varchar) as fiscal_year,
        {{ whole_division("(first_month - " ~ fiscal_offset ~ ") % 12", 3) }} + 1 as fiscal_quarter
    from starts
),

measured as (
    select *, least(period_end, {{ as_of() }}) as measured_on from bounds
)

select
    grain,
    period_start,
    period_end,
    case grain
        when 'month' then concat(cast(year(period_start) as varchar), '-', lpad(cast(month(period_start) as varchar), 2, '0'))
        when 'quarter' then concat('FY', fiscal_year, '-Q', cast(fiscal_quarter as varchar))
        else concat('FY', fiscal_year) end as period_label,
    period_end <= {{ as_of() }} as is_complete,
    measured_on,
    {{ days_after("period_start", -1) }} as opening_on,
    {{ twelve_months_earlier("measured_on") }} as year_ago_on,
    {{ days_between("period_start", "measured_on") }} + 1 as days_elapsed,
    first_month,
    months
from measured
