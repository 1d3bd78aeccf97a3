{%- set keys = ["grain", "period_start", "account_id"] -%}
{%- set year_ago = "(select * from " ~ ref("int_period_balances") ~ " where balance = 'year_ago' and " ~ is_outdated_period() ~ ")" -%}
{{ config(materialized="kept", outdated="is_outdated_period") }}
select m.grain, m.period_start, m.account_id, p.plan, r.product,
    {{ attribute_columns() }}
from {{ ref("int_account_mrr") }} m
join {{ main_value(year_ago ~ " as balances", keys, "plan") }} p
    on p.grain = m.grain and p.period_start = m.period_start and p.account_id = m.account_id
join {{ main_value(year_ago ~ " as balances", keys, "product") }} r
    on r.grain = m.grain and r.period_start = m.period_start and r.account_id = m.account_id
{{ attributes_on("m.account_id", "m.year_ago_on") }}
where m.mrr_12m_ago > 0 and {{ is_outdated_period("m.grain", "m.period_start") }}
