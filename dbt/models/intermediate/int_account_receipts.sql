-- what an account has paid up to a period's end: refunds subtract, whatever their sign
{{ config(materialized="kept", outdated="is_outdated_period") }}
with months as (
    select account_id, {{ month_or_last_kept(month_index("issued_on")) }} as month_index,
        sum(case when kind = 'refund' then -abs(amount) else amount end) as paid
    from {{ ref("int_invoices") }}
    group by account_id, {{ month_or_last_kept(month_index("issued_on")) }}
),

-- what is paid by the end of a month, and the months until that changes
totals as (
    select account_id, month_index as first_month,
        sum(paid) over in_order as paid_total,
        coalesce(lead(month_index) over in_order - 1, {{ month_index(as_of()) }}) as last_month
    from months
    window in_order as (partition by account_id order by month_index)
)

select p.grain, p.period_start, t.account_id, {{ money("t.paid_total") }} as paid_total
from totals t
join {{ ref("int_periods") }} p on {{ month_index("p.measured_on") }} between t.first_month and t.last_month
where {{ is_outdated_period("p.grain", "p.period_start") }}
