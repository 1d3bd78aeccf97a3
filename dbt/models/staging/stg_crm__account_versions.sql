{{ config(materialized="incremental", incremental_strategy="append",
    pre_hook="{{ without_outdated_versions(this, 'crm/accounts') }}") }}
{{ snapshot_versions("crm", "accounts", ["account_id"],
    ["account_name", "industry", "region", "company_size", "owner", "is_test", "community_touch", "created_at"]) }}
