{{ config(materialized="kept", outdated="is_outdated_period") }}
select a.grain, a.period_start, a.account_id, a.plan, a.product,
    {{ attribute_columns() }}
from {{ ref("int_account_plans") }} a
{{ attributes_on("a.account_id", "a.decisive_on") }}
where {{ is_outdated_period("a.grain", "a.period_start") }}
