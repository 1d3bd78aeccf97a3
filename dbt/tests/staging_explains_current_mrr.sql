-- Guards the way from staging to the marts: the newest MRR of every account, computed once more from stg_crm__subscriptions with
-- nothing between, is the published one. A join that loses or doubles items on that way shows here.
-- Does not claim the last digit (floating point here; half up and exactly in the models, per item), nor anything about accounts with an item
-- in another currency.
with items as (
    select account_id, currency,
        cast(amount as double) * case billing_interval when 'day' then 365.0 / 12 when 'week' then 52.0 / 12 when 'month' then 1.0
            when 'quarter' then 1.0 / 3 when 'half_year' then 1.0 / 6 else 1.0 / 12 end / billing_interval_count as monthly_amount
    from {{ ref("stg_crm__subscriptions") }}
    where start_date <= {{ as_of() }} and (end_date is null or end_date > {{ as_of() }})
        and billing_interval <> 'one_off' and not is_trial
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
),

expected as (
    select account_id, sum(monthly_amount) as mrr, count(*) as items,
        max(case when currency = {{ reporting_currency() }} then 0 else 1 end) as is_foreign
    from items
    group by account_id
),

published as (
    select account_id, closing_mrr as mrr
    from {{ ref("fct_account_periods") }}
    where grain = 'month' and period_start = (select max(period_start) from {{ ref("kpi_mrr") }} where grain = 'month')
        and closing_mrr > 0
)

select coalesce(e.account_id, p.account_id) as account_id, e.mrr as expected_mrr, p.mrr as published_mrr
from expected e
full outer join published p on p.account_id = e.account_id
where coalesce(e.is_foreign, 0) = 0
    and abs(coalesce(e.mrr, 0) - cast(coalesce(p.mrr, 0) as double)) > 0.0001 * coalesce(e.items, 0) + 0.000000001 * coalesce(e.mrr, 0)
