{# Calendar arithmetic. A month index is year * 12 + month - 1, so months add and subtract as integers. #}

{% macro month_index(day) -%}
    cast(year({{ day }}) * 12 + month({{ day }}) - 1 as integer)
{%- endmacro %}

{% macro month_first_day(index) -%}
    make_date(cast(({{ index }}) // 12 as integer), cast(({{ index }}) % 12 + 1 as integer), 1)
{%- endmacro %}

{% macro month_last_day(index) -%}
    last_day({{ month_first_day(index) }})
{%- endmacro %}

{# The month index of the last month that is over when the day ends. #}
{% macro last_complete_month(day) -%}
    {{ month_index(day) }} - case when {{ day }} = last_day({{ day }}) then 0 else 1 end
{%- endmacro %}

{# Which month, quarter or year of the fiscal calendar a day lies in, as a number that counts up; `months` is 1, 3 or 12. #}
{% macro fiscal_bucket(day, months) -%}
    {{ whole_division(month_index(day) ~ " - " ~ (var("fiscal_year_start_month") - 1), months) }}
{%- endmacro %}

{# The first day of that month, quarter or year. #}
{% macro fiscal_start(day, months) -%}
    {{ month_first_day(fiscal_bucket(day, months) ~ " * " ~ months ~ " + " ~ (var("fiscal_year_start_month") - 1)) }}
{%- endmacro %}

{% macro whole_division(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{% macro days_after(day, days) -%}
    cast({{ day }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{% macro days_between(earlier, later) -%}
    cast({{ later }} - {{ earlier }} as bigint)
{%- endmacro %}

{# 12 months earlier: a month-end maps to the month-end, any other day to the same day. #}
{% macro twelve_months_earlier(day) -%}
    case when {{ day }} = last_day({{ day }}) then {{ month_last_day(month_index(day) ~ " - 12") }}
        else make_date(cast(year({{ day }}) - 1 as integer), cast(month({{ day }}) as integer), cast(day({{ day }}) as integer)) end
{%- endmacro %}

{# In a select list: a row for every integer from first to last inclusive; none where either is NULL. #}
{% macro every_integer(first, last) -%}
    unnest(generate_series(cast({{ first }} as bigint), cast({{ last }} as bigint)))
{%- endmacro %}

{# A relation of them, in the column `n`. #}
{% macro integer_series(first, last) -%}
    (select {{ every_integer(first, last) }} as n)
{%- endmacro %}

{% macro microseconds_between(earlier, later) -%}
    cast(epoch_us({{ later }}) - epoch_us({{ earlier }}) as bigint)
{%- endmacro %}
