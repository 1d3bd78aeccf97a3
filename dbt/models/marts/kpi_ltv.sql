with measured as (
    select l.*, q.period_end, q.period_label, q.is_complete,
        coalesce(r.closing_customers, 0) as closing_customers, coalesce(r.closing_mrr, 0) as closing_mrr,
        p.purchases, p.purchasers, p.purchased_amount, c.paid_total
    from {{ ref("int_lifetimes") }} l
    join {{ ref("int_periods") }} q on q.grain = l.grain and q.period_start = l.period_start
    left join {{ ref("int_revenue_segments") }} r
        on r.grain = l.grain and r.period_start = l.period_start
        and r.segment_dimension = l.segment_dimension and r.segment_value = l.segment_value
    left join {{ ref("int_purchase_segments") }} p
        on p.grain = l.grain and p.period_start = l.period_start
        and p.segment_dimension = l.segment_dimension and p.segment_value = l.segment_value
    left join {{ ref("int_receipt_segments") }} c
        on c.grain = l.grain and c.period_start = l.period_start
        and c.segment_dimension = l.segment_dimension and c.segment_value = l.segment_value
),

figures as (
    select *,
        {{ ratio("closing_mrr", "closing_customers") }} as arpa,
        {{ ratio("lifetime_dividend", "lifetime_divisor") }} as average_lifetime_months,
        {{ ratio("purchased_amount", "purchases") }} as average_purchase_value,
        {{ ratio("purchases", "(purchasers * months)") }} as purchases_per_customer_month
    from measured
)

select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    cast(closing_customers as bigint) as customers,
    arpa,
    cast({{ var("gross_margin") }} as double) as gross_margin,
    {{ ratio("churned_customers", "opening_customers") }} as churn_rate_12m,
    average_lifetime_months,
    arpa * cast({{ var("gross_margin") }} as double) * average_lifetime_months as ltv,
    case when closing_customers = 0 then 'no_customers'
        when average_lifetime_months is null then 'no_churn_observed'
        when months < 12 then 'short_history'
        else 'ok' end as ltv_status,
    average_purchase_value,
    purchases_per_customer_month,
    average_purchase_value * purchases_per_customer_month * average_lifetime_months as ltv_purchase,
    case when (select count(*) from {{ ref("int_invoices") }}) > 0
        then {{ ratio("coalesce(paid_total, 0)", "closing_customers") }} * cast({{ var("gross_margin") }} as double) end as ltv_realised_average
from figures
