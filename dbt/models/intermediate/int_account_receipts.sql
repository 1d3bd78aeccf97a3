-- what an account has paid up to a period's end: refunds subtract, whatever their sign
select p.grain, p.period_start, i.account_id,
    {{ money("sum(case when i.kind = 'refund' then -abs(i.amount) else i.amount end)") }} as paid_total
from {{ ref("int_invoices") }} i
join {{ ref("int_periods") }} p on i.issued_on <= p.measured_on
group by p.grain, p.period_start, i.account_id
