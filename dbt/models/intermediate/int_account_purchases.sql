with months as (
    select account_id, {{ month_index("issued_on") }} as month_index, count(*) as purchases, sum(amount) as purchased_amount
    from {{ ref("int_invoices") }}
    where kind <> 'refund'
    group by account_id, {{ month_index("issued_on") }}
)

select w.grain, w.period_start, m.account_id,
    cast(sum(m.purchases) as bigint) as purchases,
    {{ money("sum(m.purchased_amount)") }} as purchased_amount
from months m
join {{ ref("int_trailing_windows") }} w on m.month_index between w.window_first_month and w.window_last_month
group by w.grain, w.period_start, m.account_id
