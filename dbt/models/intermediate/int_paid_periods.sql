{{ config(materialized="kept", outdated="is_outdated_period") }}
select distinct m.grain, m.period_start, i.account_id
from {{ ref("int_subscription_items") }} i
join {{ ref("int_periods") }} m
    on i.start_date <= m.measured_on and (i.end_date is null or i.end_date > m.period_start)
where i.kind = 'paying' and {{ is_outdated_period("m.grain", "m.period_start") }}
