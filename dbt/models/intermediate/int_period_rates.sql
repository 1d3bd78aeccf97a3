with needed as (
    select distinct i.currency, d.snapshot_on as rate_on
    from (select distinct currency from {{ ref("int_subscription_items") }} where currency <> {{ reporting_currency() }}) i
    cross join {{ snapshot_days() }} d
)

{{ rate_of_day("needed", "rate_on") }}
