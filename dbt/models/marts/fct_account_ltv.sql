with paid as (
    select account_id, sum(case when kind = 'refund' then -abs(amount) else amount end) as paid_total
    from {{ ref("int_invoices") }}
    group by account_id
),

tenures as (
    -- the first day after the last paid one so far
    select account_id, min(start_date) as first_paid_date,
        max(least(coalesce(end_date, {{ days_after(as_of(), 1) }}), {{ days_after(as_of(), 1) }})) as paid_until
    from {{ ref("int_subscription_items") }}
    where kind = 'paying'
    group by account_id
),

accounts as (
    select account_id from paid
    union
    select account_id from tenures
)

select
    a.account_id,
    t.first_paid_date,
    cast({{ month_index("t.paid_until") }} - {{ month_index("t.first_paid_date") }}
        - case when day(t.paid_until) < day(t.first_paid_date) then 1 else 0 end as bigint) as tenure_months,
    {{ money("coalesce(c.mrr, 0)") }} as current_mrr,
    {{ money("coalesce(p.paid_total, 0)") }} as paid_total,
    {{ times_margin("coalesce(p.paid_total, 0)") }} as ltv_realised,
    c.ltv_expected,
    c.touch_tier
from accounts a
left join paid p on p.account_id = a.account_id
left join tenures t on t.account_id = a.account_id
left join {{ ref("int_touch_tiers") }} c on c.account_id = a.account_id and c.snapshot_on = {{ as_of() }}
