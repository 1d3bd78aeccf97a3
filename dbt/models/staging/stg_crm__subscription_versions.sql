{{ config(materialized="incremental", incremental_strategy="append",
    pre_hook="{{ without_outdated_versions(this, 'crm/subscriptions') }}") }}
select *
from (
    {{ snapshot_versions("crm", "subscriptions", ["subscription_id", "product", "start_date"],
        ["plan", "quantity", "amount", "currency", "billing_interval", "billing_interval_count", "is_trial"]) }}
) as versions
where {{ "true" if var("subscriptions_in_place_changes", "restate") == "from_delivery" else "false" }}
