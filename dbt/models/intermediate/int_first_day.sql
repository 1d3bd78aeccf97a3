select min(first_day) as first_day
from (
    select min(start_date) as first_day from {{ ref("int_subscription_items") }}
    union all
    select min(day) from {{ ref("int_account_days") }} where active_days > 0
    union all
    select min(opened_on) from {{ ref("int_tickets") }}
    union all
    select min(responded_on) from {{ ref("int_responses") }}
    union all
    select min(issued_on) from {{ ref("int_invoices") }}
    union all
    select min(signed_up_on) from {{ ref("int_signups") }}
    union all
    select min(ended_on) from {{ ref("int_trials") }}
) as sources
