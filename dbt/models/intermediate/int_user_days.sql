{{ config(materialized="view") }}
-- where the extract has no user ids at all, the account stands for one user, if there is one
select account_id, event_date as activity_date,
    case when ({{ is_account_level() }}) then nullif(account_id, '(unknown)') else user_id end as user_id
from {{ ref("int_session_days") }}
where event_date <= {{ as_of() }} and not is_test
