-- every account and period that any figure counts, with the day and the balance that decide its segments
{{ config(materialized="kept", outdated="is_outdated_period") }}
with keys as (
    select grain, period_start, account_id from {{ ref("int_account_mrr") }} where {{ is_outdated_period() }}
    union
    select grain, period_start, account_id from {{ ref("int_account_usage") }} where {{ is_outdated_period() }}
    union
    select grain, period_start, account_id from {{ ref("int_account_tickets") }} where {{ is_outdated_period() }}
    union
    select grain, period_start, account_id from {{ ref("int_counted_responses") }} where {{ is_outdated_period() }}
    union
    select grain, period_start, account_id from {{ ref("int_account_purchases") }} where {{ is_outdated_period() }}
    union
    select m.grain, m.period_start, u.account_id
    from {{ ref("int_signups") }} u
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("u.signed_up_on") }}
    where {{ is_outdated_period("m.grain", "m.period_start") }}
    union
    select m.grain, m.period_start, t.account_id
    from {{ ref("int_trials") }} t
    join {{ ref("int_period_months") }} m on m.month_index = {{ month_index("t.ended_on") }}
    where {{ is_outdated_period("m.grain", "m.period_start") }}
)

select k.grain, k.period_start, k.account_id, p.measured_on,
    case when m.opening_mrr > 0 then 'opening' when m.closing_mrr > 0 then 'closing' end as decisive_balance,
    case when m.opening_mrr > 0 then p.opening_on else p.measured_on end as decisive_on
from keys k
join {{ ref("int_periods") }} p on p.grain = k.grain and p.period_start = k.period_start
left join {{ ref("int_account_mrr") }} m
    on m.grain = k.grain and m.period_start = k.period_start and m.account_id = k.account_id
