select ticket_id, account_id, created_at, first_responded_at, resolved_at, cast(created_at as date) as opened_on
from {{ ref("stg_crm__support_tickets") }}
where cast(created_at as date) <= {{ as_of() }}
    and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
