{# Exact money. Ratios of integers are rounded half up in whole ten-thousandths: DECIMAL / integer would be a
   floating-point number. Amounts are never negative here, so half up is half away from zero. #}

{% macro half_up_ratio(dividend, divisor) -%}
    ((2 * cast({{ dividend }} as hugeint) + cast({{ divisor }} as hugeint)) // (2 * cast({{ divisor }} as hugeint)))
{%- endmacro %}

{% macro whole_units(amount, scale) -%}
    cast(cast({{ amount }} as decimal(28, {{ scale }})) * cast({{ 10 ** scale }} as decimal(10, 0)) as hugeint)
{%- endmacro %}

{% macro money_from_ten_thousandths(units) -%}
    cast(cast({{ units }} as decimal(18, 0)) * cast(0.0001 as decimal(4, 4)) as decimal(18, 4))
{%- endmacro %}

{# amount * factor, neither negative and of as many decimals each as told, in money: in 64 bits where they hold the product (they hold ten
   ninths of the bound), as 128 take many times as long. #}
{% macro product_as_money(amount, scale, factor, factor_scale) -%}
    case when {% if scale > 4 %}{{ amount }} = {{ money(amount) }} and {% endif -%}
            cast({{ amount }} as double) * cast({{ factor }} as double) < {{ 9 * 10 ** (13 - factor_scale) }}
        then {{ money(money(amount) ~ " * cast(" ~ factor ~ " as decimal(18, " ~ factor_scale ~ "))") }}
        else {{ money_from_ten_thousandths(half_up_ratio(
            whole_units(amount, scale) ~ " * " ~ whole_units(factor, factor_scale), 10 ** (scale + factor_scale - 4))) }} end
{%- endmacro %}

{# amount * dividend / divisor as an integer: a key to rank by, which no floating-point rounding can tie or reorder. #}
{% macro exact_rank_key(amount, dividend, divisor) -%}
    {{ whole_division(whole_units(amount, 4) ~ " * cast(" ~ dividend ~ " as hugeint) * cast(1000000000000 as hugeint)",
        "cast(" ~ divisor ~ " as hugeint)") }}
{%- endmacro %}

{% macro money(amount) -%}
    cast({{ amount }} as decimal(18, 4))
{%- endmacro %}

{# NULL where the denominator is 0 or NULL, and a floating-point number everywhere else. #}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}
