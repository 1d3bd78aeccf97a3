with needed as (
    select distinct i.currency, d.rate_on
    from (select distinct currency from {{ ref("int_subscription_items") }} where currency <> {{ reporting_currency() }}) i
    cross join (
        select measured_on as rate_on from {{ ref("int_periods") }}
        union
        select opening_on from {{ ref("int_periods") }}
        union
        select year_ago_on from {{ ref("int_periods") }}) d
)

{{ rate_of_day("needed", "rate_on") }}
