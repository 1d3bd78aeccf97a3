select p.grain, p.period_start, t.account_id, cast(count(*) as bigint) as tickets_opened
from {{ ref("int_tickets") }} t
join {{ ref("int_period_months") }} p on p.month_index = {{ month_index("t.opened_on") }}
group by p.grain, p.period_start, t.account_id
