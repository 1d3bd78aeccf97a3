{{ config(materialized="kept", outdated="is_outdated_snapshot") }}
select d.snapshot_on, i.account_id, i.plan, i.product, i.currency, i.monthly_amount, i.quantity
from {{ ref("int_subscription_items") }} i
join {{ snapshot_days() }} d on i.start_date <= d.snapshot_on and (i.end_date is null or d.snapshot_on < i.end_date)
where i.kind = 'paying' and {{ is_new_snapshot("d.snapshot_on") }}
