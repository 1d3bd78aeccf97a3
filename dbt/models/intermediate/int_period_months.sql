select p.grain, p.period_start, p.first_month + cast(o.n as integer) as month_index
from {{ ref("int_periods") }} p
join {{ integer_series(0, 11) }} o on o.n < p.months
