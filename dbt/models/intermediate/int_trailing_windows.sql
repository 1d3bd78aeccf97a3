with complete as (
    select p.grain, p.period_start,
        {{ month_index("p.measured_on") }} - case when p.measured_on = last_day(p.measured_on) then 0 else 1 end as last_complete_month
    from {{ ref("int_periods") }} p
)

select grain, period_start, last_complete_month as window_last_month, last_complete_month - 11 as window_first_month
from complete
