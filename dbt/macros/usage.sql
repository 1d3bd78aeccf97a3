{# What the usage models share. #}

{# The silence that ends a session without an id, in microseconds: 30 minutes. #}
{% macro session_gap() %}{{ 30 * 60 * 1000000 }}{% endmacro %}

{# The rows of the lake of the batch in hand, each time read anew: what is kept of them for the next reader costs more than reading again
   the columns that it needs. #}
{% macro delivered_events() -%}
    (
        select event_id, account_id, subscription_id, user_id, event_name, session_id, duration_seconds, quantity, occurred_at,
            coalesce(is_deleted, false) as is_deleted, cast(occurred_at as date) as event_date, extract_date, _file, _row
        from {{ lake("usage", "events", batched=true) }}
        where extract_date <= {{ as_of() }} and {{ happened_in_batch("cast(occurred_at as date)") }}
    )
{%- endmacro %}

{# The account that a subscription stands for, where an event names no other: a relation to join by subscription_id. #}
{% macro subscribers() -%}
    (
        select subscription_id, min(account_id) as account_id
        from {{ ref("stg_crm__subscriptions") }}
        where {{ batch_lacks("account_id") }}
        group by subscription_id
    )
{%- endmacro %}

{# The account that an event or a session is of: the one it names, else its subscriber. #}
{% macro account_of(event, subscriber) -%}
    coalesce({{ event }}.account_id, {{ subscriber }}.account_id, '(unknown)')
{%- endmacro %}

{# A number that the parts of a session with an id share, on whichever days they are; those of another session hardly ever do, and may. #}
{% macro session_number() -%}
    case when session_id is not null then {{ number_of(["account_id", "user_id", "session_id"]) }} end
{%- endmacro %}

{# Before sessions are computed anew, the old ones go. #}
{% macro without_recomputed_sessions(relation) -%}
    {%- if is_incremental() -%}
    delete from {{ relation }} using {{ ref("int_recomputed_sessions") }} as r where r.session_number = {{ relation }}.session_number;
    delete from {{ relation }} using {{ recomputed_without_id() }} as r
    where {{ relation }}.session_number is null and r.account_id = {{ relation }}.account_id and r.user_id is not distinct from {{ relation }}.user_id
    {%- endif -%}
{%- endmacro %}

{# The users whose sessions without an id are computed anew. #}
{% macro recomputed_without_id() -%}
    (select distinct account_id, user_id from {{ ref("int_recomputed_sessions") }} where session_number is null)
{%- endmacro %}

{# The first day whose figures change with the days that are computed anew, as a literal; where nothing changes, a day that never comes.
   Where the extract tells users for the first time, or no longer, every day's do. #}
{% macro first_recomputed_day(computed) -%}
    {%- set found = run_query("
        select case when exists (select 1 from " ~ computed ~ " c where c.is_account_level <> (" ~ is_account_level() ~ "))
            then cast('0001-01-01' as date) else coalesce(min(event_date), cast('9999-12-31' as date)) end as first_day
        from " ~ ref("int_usage_days") ~ " where is_recomputed") -%}
    cast('{{ found.rows[0].first_day }}' as date)
{%- endmacro %}

{# The first day of the month in which the days that are computed anew begin, as a literal; where nothing changes, a day that never comes. #}
{% macro first_recomputed_month() -%}
    {%- set found = run_query("
        select " ~ fiscal_start("coalesce(min(event_date), cast('9999-12-31' as date))", 1) ~ " as first_day
        from " ~ ref("int_usage_days") ~ " where is_recomputed") -%}
    cast('{{ found.rows[0].first_day }}' as date)
{%- endmacro %}

{# Before an account's days are computed anew, the old ones go. #}
{% macro without_recomputed_days(relation) -%}
    {%- if is_incremental() -%}
    delete from {{ relation }} where day >= {{ first_recomputed_day(relation) }}
    {%- endif -%}
{%- endmacro %}

{# Whether no event of the extract has a user id. #}
{% macro is_account_level() -%}
    select count(user_id) = 0 from {{ ref("int_session_days") }} where event_date <= {{ as_of() }} and not is_test
{%- endmacro %}
