{{ newest_per_key("crm", "support_tickets",
    ["ticket_id", "coalesce(account_id, '(unknown)') as account_id", "created_at", "first_responded_at", "resolved_at"],
    ["ticket_id"], "updated_at") }}
