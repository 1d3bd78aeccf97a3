with activity as (
    select account_id, max(last_active_on) as last_active_date
    from {{ ref("int_account_months") }}
    where last_active_on is not null
    group by account_id
),

mentioned as (
    select account_id from {{ ref("int_accounts") }}
    union
    select account_id from {{ ref("stg_crm__subscriptions") }} where start_date <= {{ as_of() }}
    {% for relation in [ref("int_invoices"), ref("int_onboarding_steps"), ref("int_tickets"), ref("int_responses")] -%}
    union
    select account_id from {{ relation }}
    {% endfor -%}
    union
    select account_id from activity
),

ids as (
    select account_id from mentioned
    where account_id not in (select account_id from {{ ref("int_accounts") }} where is_test)
)

select
    i.account_id,
    a.account_name,
    coalesce(a.industry, '(unknown)') as industry,
    coalesce(a.region, '(unknown)') as region,
    coalesce(a.company_size, '(unknown)') as company_size,
    coalesce(a.owner, '(unknown)') as owner,
    a.created_at,
    f.first_paid_date,
    u.last_active_date,
    t.account_id is not null as is_customer,
    {{ money("coalesce(t.mrr, 0)") }} as current_mrr,
    t.touch_tier,
    coalesce(a.community_touch, false) as community_touch
from ids i
left join {{ ref("int_accounts") }} a on a.account_id = i.account_id
left join {{ ref("int_first_paid") }} f on f.account_id = i.account_id
left join activity u on u.account_id = i.account_id
left join {{ ref("int_touch_tiers") }} t on t.account_id = i.account_id and t.snapshot_on = {{ as_of() }}
