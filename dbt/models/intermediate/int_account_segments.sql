select a.grain, a.period_start, a.account_id, a.plan, a.product,
    {{ attribute_columns() }}
from {{ ref("int_account_plans") }} a
{{ attributes_on("a.account_id", "a.decisive_on") }}
