-- what each customer at opening pays more on products it kept, and on products it added while keeping one
{{ config(materialized="kept", outdated="is_outdated_period") }}
with products as (
    select grain, period_start, account_id, product,
        sum(mrr) filter (where balance = 'opening') as opening_mrr,
        sum(mrr) filter (where balance = 'closing') as closing_mrr
    from {{ ref("int_period_balances") }}
    where balance in ('opening', 'closing') and {{ is_outdated_period() }}
    group by grain, period_start, account_id, product
),

accounts as (
    select grain, period_start, account_id,
        count(opening_mrr) as opening_products,
        count(*) filter (where opening_mrr is not null and closing_mrr is not null) as kept_products,
        sum(closing_mrr - opening_mrr) filter (where closing_mrr > opening_mrr) as upsell_mrr,
        sum(closing_mrr) filter (where opening_mrr is null) as added_mrr
    from products
    group by grain, period_start, account_id
)

select grain, period_start, account_id,
    {{ money("coalesce(upsell_mrr, 0)") }} as upsell_mrr,
    {{ money("case when kept_products > 0 then coalesce(added_mrr, 0) else 0 end") }} as cross_sell_mrr
from accounts
where opening_products > 0
