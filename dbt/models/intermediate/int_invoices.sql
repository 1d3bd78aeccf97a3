with issued as (
    select invoice_id, account_id, currency, kind, amount, cast(issued_at as date) as issued_on
    from {{ ref("stg_crm__invoices") }}
    where cast(issued_at as date) <= {{ as_of() }}
        and account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
),

needed as (
    select distinct currency, issued_on from issued where currency <> {{ reporting_currency() }}
),

rates as (
    {{ rate_of_day("needed", "issued_on") }}
)

select i.invoice_id, i.account_id, i.kind, i.issued_on,
    case when i.amount < 0 then -1 else 1 end
        * {{ converted("abs(i.amount)", "i.currency", "r.rate", "i.issued_on", scale=6) }} as amount
from issued i
left join rates r on r.currency = i.currency and r.issued_on = i.issued_on
