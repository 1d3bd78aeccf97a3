with trials as (
    select m.grain, m.period_start, t.account_id, t.is_converted,
        s.plan, s.product, s.industry, s.region, s.company_size, s.owner, s.touch_tier
    from {{ ref("int_trials") }} t
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("t.ended_on") }}
    join {{ ref("int_account_segments") }} s
        on s.grain = m.grain and s.period_start = m.period_start and s.account_id = t.account_id
),

figures as (
    {{ by_segment("trials", "
        count(*) as trials_ended,
        count(*) filter (where is_converted) as trials_converted") }}
)

select
    g.grain, g.period_start, p.period_end, p.period_label,
    {{ days_after("p.period_end", 30) }} <= {{ as_of() }} as is_complete,
    g.segment_dimension, g.segment_value,
    cast(coalesce(f.trials_ended, 0) as bigint) as trials_ended,
    cast(coalesce(f.trials_converted, 0) as bigint) as trials_converted,
    {{ ratio("f.trials_converted", "f.trials_ended") }} as trial_conversion_rate
from {{ dense_grid("figures") }} g
join {{ ref("int_periods") }} p on p.grain = g.grain and p.period_start = g.period_start
left join figures f
    on f.grain = g.grain and f.period_start = g.period_start
    and f.segment_dimension = g.segment_dimension and f.segment_value = g.segment_value
