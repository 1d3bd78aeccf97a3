{{ newest_per_key("crm", "onboarding_steps", ["account_id", "step", "completed_at"], ["account_id", "step", "completed_at"]) }}
