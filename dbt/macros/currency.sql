{# Conversion into the reporting currency, rounded half up to 4 decimals, per item and not before. `rate` is a DECIMAL(18, 6)
   of reporting currency per unit, NULL where there is none that is at most 10 days old: an error, never 1.0; `scale` are
   the decimals that the amount has. #}

{% macro converted(amount, currency, rate, day, scale=4) -%}
    case when {{ currency }} = {{ reporting_currency() }} then {{ money(amount) }}
        when {{ rate }} is null then {{ refuse(
            "'no exchange rate for ' || " ~ currency ~ " || ' on ' || cast(" ~ day ~ " as varchar) || ': expected a rate of finance/fx_rates"
            ~ " dated at most 10 days before; deliver it, or set reporting_currency (now " ~ var("reporting_currency") ~ ")'") }}
        else {{ product_as_money(amount, scale, rate, 6) }} end
{%- endmacro %}

{# The rate of each (currency, day) of `relation`: the latest one on or before the day, at most 10 days old. #}
{% macro rate_of_day(relation, day) -%}
select currency, {{ day }}, rate
from (
    select n.currency, n.{{ day }}, f.rate,
        row_number() over (partition by n.currency, n.{{ day }} order by f.rate_date desc) as newest
    from {{ relation }} n
    join {{ ref("stg_finance__fx_rates") }} f
        on f.currency = n.currency
        and f.rate_date <= n.{{ day }} and f.rate_date >= {{ days_after("n." ~ day, -10) }}
) as candidates
where newest = 1
{%- endmacro %}

{# Money x the setting gross_margin, rounded half away from zero to 4 decimals, exactly. #}
{% macro times_margin(amount) -%}
    {{ money("case when " ~ amount ~ " < 0 then -1 else 1 end * "
        ~ product_as_money("abs(" ~ amount ~ ")", 4, var("gross_margin"), 9)) }}
{%- endmacro %}
