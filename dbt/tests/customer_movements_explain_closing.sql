-- Guards opening customers + new + reactivated - churned = closing customers, for every period and every segment.
-- Does not claim anything about accounts that paid only between two snapshots: they are in neither count.
select grain, period_start, segment_dimension, segment_value,
    opening_customers + new_customers + reactivated_customers - churned_customers as explained_customers,
    closing_customers
from {{ ref("kpi_retention") }}
where opening_customers + new_customers + reactivated_customers - churned_customers <> closing_customers
