with items as (
    select s.*,
        case s.billing_interval when 'day' then 365 when 'week' then 52 else 1 end as intervals,
        s.billing_interval_count * case s.billing_interval
            when 'month' then 1 when 'quarter' then 3 when 'half_year' then 6 else 12 end as months
    from {{ ref("stg_crm__subscriptions") }} s
    where (s.billing_interval <> 'one_off' or s.is_trial)
        and s.start_date <= {{ as_of() }}
        and (s.end_date is null or s.end_date > s.start_date)
        and s.account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
),

priced as (
    select *,
        -- amount in millionths, to the monthly amount in ten-thousandths
        {{ money_from_ten_thousandths(half_up_ratio(whole_units("amount", 6) ~ " * intervals", "months * 100")) }} as monthly_amount
    from items
)

select
    subscription_id,
    account_id,
    product,
    plan,
    currency,
    case when is_trial then 'trial' when monthly_amount > 0 then 'paying' else 'free' end as kind,
    case when is_trial then cast(0 as decimal(18, 4)) else monthly_amount end as monthly_amount,
    cast(quantity as bigint) as quantity,
    start_date,
    end_date
from priced
