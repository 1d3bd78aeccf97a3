with measured as (
    select r.*, l.months, l.opening_customers as pooled_opening, l.churned_customers as pooled_churned,
        p.purchases, p.purchasers, p.purchased_amount, c.paid_total
    from {{ ref("int_revenue_segments") }} r
    join {{ ref("int_lifetimes") }} l
        on l.grain = r.grain and l.period_start = r.period_start
        and l.segment_dimension = r.segment_dimension and l.segment_value = r.segment_value
    left join {{ ref("int_purchase_segments") }} p
        on p.grain = r.grain and p.period_start = r.period_start
        and p.segment_dimension = r.segment_dimension and p.segment_value = r.segment_value
    left join {{ ref("int_receipt_segments") }} c
        on c.grain = r.grain and c.period_start = r.period_start
        and c.segment_dimension = r.segment_dimension and c.segment_value = r.segment_value
),

figures as (
    select *,
        {{ ratio("closing_mrr", "closing_customers") }} as arpa,
        {{ ratio("pooled_opening", "pooled_churned") }} as average_lifetime_months,
        {{ ratio("purchased_amount", "purchases") }} as average_purchase_value,
        {{ ratio("purchases", "(purchasers * months)") }} as purchases_per_customer_month
    from measured
)

select
    grain, period_start, period_end, period_label, is_complete, segment_dimension, segment_value,
    closing_customers as customers,
    arpa,
    cast({{ var("gross_margin") }} as double) as gross_margin,
    {{ ratio("pooled_churned", "pooled_opening") }} as churn_rate_12m,
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
