-- purchases in the trailing window and, where the lifetime comes from them, in the 12 months before it
{{ config(materialized="kept", outdated="is_outdated_period") }}
with windows as (
    select * from {{ ref("int_trailing_windows") }} where {{ is_outdated_period() }}
),

-- A window of fewer than 12 months begins with the first month of all of them: nothing before it may count.
months as (
    select account_id, {{ month_index("issued_on") }} as month_index, count(*) as purchases, sum(amount) as purchased_amount
    from {{ ref("int_invoices") }}
    where kind <> 'refund' and {{ month_index("issued_on") }} >= (select min(purchases_from_month) from windows)
    group by account_id, {{ month_index("issued_on") }}
),

-- every month in which a purchase is among the last 24 months'
counted_months as (
    select account_id, {{ every_integer("min(month_index)",
        "least(max(month_index) + 23, (select max(window_last_month) from windows))") }} as month_index
    from months
    group by account_id
),

counted as (
    select c.account_id, c.month_index,
        coalesce(sum(m.purchases) over last_12, 0) as purchases,
        coalesce(sum(m.purchased_amount) over last_12, 0) as purchased_amount,
        coalesce(sum(m.purchases) over prior_12, 0) as prior_purchases
    from counted_months c
    left join months m on m.account_id = c.account_id and m.month_index = c.month_index
    window last_12 as (partition by c.account_id order by c.month_index rows between 11 preceding and current row),
        prior_12 as (partition by c.account_id order by c.month_index rows between 23 preceding and 12 preceding)
)

select w.grain, w.period_start, c.account_id,
    cast(c.purchases as bigint) as purchases,
    {{ money("c.purchased_amount") }} as purchased_amount,
    cast(case when w.purchases_from_month < w.window_first_month then c.prior_purchases else 0 end as bigint) as prior_purchases
from counted c
join windows w on w.window_last_month = c.month_index
where c.purchases > 0 or (w.purchases_from_month < w.window_first_month and c.prior_purchases > 0)
