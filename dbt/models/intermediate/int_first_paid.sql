select account_id, min(start_date) as first_paid_date
from {{ ref("int_subscription_items") }}
where kind = 'paying'
group by account_id
