select response_id, account_id, contact_id, survey, coalesce(topic, '(unknown)') as survey_topic, score, responded_at,
    cast(responded_at as date) as responded_on
from {{ ref("stg_crm__survey_responses") }}
where cast(responded_at as date) <= {{ as_of() }}
    and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
