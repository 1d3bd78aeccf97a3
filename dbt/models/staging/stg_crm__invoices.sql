{{ newest_per_key("crm", "invoices",
    ["invoice_id", "account_id", "coalesce(currency, " ~ reporting_currency() ~ ") as currency",
     "coalesce(kind, 'recurring') as kind", "amount", "issued_at"],
    ["invoice_id"]) }}
