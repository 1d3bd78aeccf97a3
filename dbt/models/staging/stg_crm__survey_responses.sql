{{ newest_per_key("crm", "survey_responses",
    ["response_id", "coalesce(account_id, '(unknown)') as account_id", "contact_id", "survey", "topic", "score", "responded_at"],
    ["response_id"]) }}
