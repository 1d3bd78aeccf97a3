with complete as (
    select p.grain, p.period_start,
        {{ last_complete_month("p.measured_on") }} as last_complete_month
    from {{ ref("int_periods") }} p
)

select grain, period_start, last_complete_month as window_last_month, last_complete_month - 11 as window_first_month
from complete
