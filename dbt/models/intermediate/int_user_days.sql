with events as (
    select *
    from {{ ref("stg_usage__events") }}
    where event_date <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
)

-- where the extract has no user ids at all, the account stands for one user, if there is one
select account_id, event_date as activity_date,
    case when (select count(user_id) = 0 from events) then nullif(account_id, '(unknown)') else user_id end as user_id,
    cast(count(*) as bigint) as events
from events
group by account_id, event_date, user_id
