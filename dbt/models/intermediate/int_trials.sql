-- ended trials of accounts that were no customers the day before; converted: a customer within 30 days of the end
with paying as (
    select account_id, start_date, end_date from {{ ref("int_subscription_items") }} where kind = 'paying'
),

trials as (
    select subscription_id, product, account_id, start_date, end_date
    from {{ ref("stg_crm__subscriptions") }}
    where is_trial and not coalesce(is_continued, false) and end_date <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
)

select t.account_id, t.end_date as ended_on,
    exists (
        select 1 from paying p
        where p.account_id = t.account_id
            and p.start_date <= least({{ days_after("t.end_date", 30) }}, {{ as_of() }})
            and (p.end_date is null or p.end_date > t.end_date)) as is_converted
from trials t
where not exists (
    select 1 from paying p
    where p.account_id = t.account_id and p.start_date < t.start_date and (p.end_date is null or p.end_date >= t.start_date))
