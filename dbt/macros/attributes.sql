{# An account's attributes as they were on a day; an account that `crm/accounts` never knew has none. #}

{% macro attribute_columns() -%}
    coalesce(h.industry, '(unknown)') as industry,
    coalesce(h.region, '(unknown)') as region,
    coalesce(h.company_size, '(unknown)') as company_size,
    coalesce(h.owner, '(unknown)') as owner,
    coalesce(t.touch_tier, '(unknown)') as touch_tier
{%- endmacro %}

{% macro attributes_on(account_id, day) -%}
    left join {{ ref("int_account_history") }} h
        on h.account_id = {{ account_id }} and h.valid_from <= {{ day }} and {{ day }} < h.valid_to
    left join {{ ref("int_touch_tiers") }} t on t.account_id = {{ account_id }} and t.snapshot_on = {{ day }}
{%- endmacro %}
