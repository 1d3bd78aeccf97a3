"""A candidate small enough to check by hand.

Two accounts: A1 pays 100 from January and 120 from February; A2 pays 50 and is lost on 1 February. One plan, so
the segment `plan`/`Basic` equals the total. The fiscal year starts in April. On 10 January one user of A1 was there
for half an hour, A1 answered three surveys and opened a ticket, answered in an hour and resolved on 1 February.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

FEBRUARY_END = dt.date(2024, 2, 29)
MID_JANUARY = dt.date(2024, 1, 15)

PERIODS = [
    ("month", dt.date(2024, 1, 1), dt.date(2024, 1, 31), "2024-01"),
    ("month", dt.date(2024, 2, 1), dt.date(2024, 2, 29), "2024-02"),
    ("quarter", dt.date(2024, 1, 1), dt.date(2024, 3, 31), "FY2023-Q4"),
    ("year", dt.date(2023, 4, 1), dt.date(2024, 3, 31), "FY2023"),
]
PERIOD = "grain VARCHAR, period_start DATE, period_end DATE, period_label VARCHAR, is_complete BOOLEAN"
SEGMENT = "segment_dimension VARCHAR, segment_value VARCHAR"

# What the models work out from accounts, here by hand: opening, new, expansion and churned MRR and customers.
FLOWS = "opening DECIMAL(18,4), new DECIMAL(18,4), expansion DECIMAL(18,4), churned DECIMAL(18,4), "
FLOWS += "opening_n BIGINT, new_n BIGINT, churned_n BIGINT, same_period_n BIGINT, "
FLOWS += "pooled_opening BIGINT, pooled_churned BIGINT"
JANUARY = (0, 150, 0, 0, 0, 2, 0, 0, 0, 0)
FEBRUARY = (150, 0, 20, 50, 2, 0, 1, 0, 2, 1)
RUNNING_QUARTER = (0, 120, 0, 0, 0, 1, 0, 1, 2, 1)

MONEY, COUNT, RATIO = "cast({} as DECIMAL(18,4))", "cast({} as BIGINT)", "cast({} as DOUBLE)"
KPI = {
    "kpi_mrr": [
        (MONEY, "opening_mrr", "opening"), (MONEY, "fx_impact_mrr", "0"), (MONEY, "new_mrr", "new"),
        (MONEY, "reactivation_mrr", "0"), (MONEY, "expansion_mrr", "expansion"), (MONEY, "contraction_mrr", "0"),
        (MONEY, "churned_mrr", "churned"), (MONEY, "closing_mrr", "closing"), (MONEY, "arr", "closing * 12"),
        (COUNT, "customers", "closing_n"), (RATIO, "arpa", "cast(closing as double) / nullif(closing_n, 0)"),
        (RATIO, "quick_ratio", "cast(new + expansion as double) / cast(nullif(churned, 0) as double)"),
    ],
    "kpi_churn": [
        (COUNT, "opening_customers", "opening_n"), (COUNT, "churned_customers", "churned_n"),
        (COUNT, "same_period_churned_customers", "same_period_n"),
        (RATIO, "customer_churn_rate", "churned_n / nullif(opening_n, 0)"),
        (MONEY, "opening_mrr", "opening"), (MONEY, "churned_mrr", "churned"), (MONEY, "contraction_mrr", "0"),
        (MONEY, "expansion_mrr", "expansion"), (RATIO, "revenue_churn_rate", "churned / nullif(opening, 0)"),
        (RATIO, "gross_revenue_churn_rate", "churned / nullif(opening, 0)"),
        (RATIO, "net_revenue_churn_rate", "(churned - expansion) / nullif(opening, 0)"),
    ],
    "kpi_retention": [
        (COUNT, "opening_customers", "opening_n"), (COUNT, "new_customers", "new_n"),
        (COUNT, "reactivated_customers", "0"), (COUNT, "churned_customers", "churned_n"),
        (COUNT, "closing_customers", "closing_n"),
        (RATIO, "customer_retention_rate", "(closing_n - new_n) / nullif(opening_n, 0)"),
    ],
    "kpi_nrr": [
        (COUNT, "opening_customers", "opening_n"), (MONEY, "opening_mrr", "opening"),
        (MONEY, "retained_mrr", "opening + expansion - churned"), (MONEY, "gross_retained_mrr", "opening - churned"),
        (RATIO, "nrr", "(opening + expansion - churned) / nullif(opening, 0)"),
        (RATIO, "grr", "(opening - churned) / nullif(opening, 0)"), (COUNT, "cohort_12m_customers", "0"),
        (MONEY, "cohort_12m_mrr", "0"), (MONEY, "retained_12m_mrr", "0"), (MONEY, "gross_retained_12m_mrr", "0"),
        (RATIO, "nrr_12m", "null"), (RATIO, "grr_12m", "null"),
    ],
    "kpi_ltv": [
        (COUNT, "customers", "closing_n"), (RATIO, "arpa", "cast(closing as double) / nullif(closing_n, 0)"),
        (RATIO, "gross_margin", "1"), (RATIO, "churn_rate_12m", "pooled_churned / nullif(pooled_opening, 0)"),
        (RATIO, "average_lifetime_months", "pooled_opening / nullif(pooled_churned, 0)"),
        (RATIO, "ltv", "closing / nullif(closing_n, 0) * (pooled_opening / nullif(pooled_churned, 0))"),
        ("{}", "ltv_status", "case when pooled_churned = 0 then 'no_churn_observed' else 'short_history' end"),
        (RATIO, "average_purchase_value", "null"), (RATIO, "purchases_per_customer_month", "null"),
        (RATIO, "ltv_purchase", "null"), (RATIO, "ltv_realised_average", "null"),
    ],
    "kpi_engagement": [
        (COUNT, "active_users", "used"), (RATIO, "active_users_daily_average", "used / days"),
        (RATIO, "active_users_weekly_average", "week_days / days"),
        (RATIO, "stickiness", "case when used = 1 and grain = 'month' then 1 / days end"),
        (COUNT, "active_accounts", "used"), (COUNT, "customers_in_period", "closing_n + same_period_n"),
        (COUNT, "active_customers", "used"), (RATIO, "active_account_rate", "used / (closing_n + same_period_n)"),
        (COUNT, "seats", "closing_n"), (RATIO, "seat_utilisation", "used / closing_n"), (COUNT, "sessions", "used"),
        (RATIO, "sessions_per_active_user", "used / nullif(used, 0)"),
        (RATIO, "session_minutes_average", "case when used = 1 then 30 end"),
        (RATIO, "session_minutes_median", "case when used = 1 then 30 end"), ("{}", "is_account_level", "false"),
    ],
    "kpi_satisfaction": [
        (COUNT, "nps_responses", "2 * used"), (COUNT, "promoters", "used"), (COUNT, "passives", "used"),
        (COUNT, "detractors", "0"), (RATIO, "nps", "case when used = 1 then 50 end"), (COUNT, "csat_responses", "used"),
        (COUNT, "csat_satisfied", "used"), (RATIO, "csat_rate", "used / nullif(used, 0)"),
        (RATIO, "csat_average", "case when used = 1 then 4 end"),
    ],
    "kpi_support": [
        (COUNT, "tickets_opened", "used"), (COUNT, "tickets_resolved", "resolved"),
        (COUNT, "ticket_backlog", "case when until < date '2024-02-01' then 1 else 0 end"),
        (RATIO, "ticket_resolution_hours_median", "case when resolved = 1 then 528 end"),
        (RATIO, "ticket_resolution_hours_p90", "case when resolved = 1 then 528 end"),
        (RATIO, "ticket_resolution_hours_mean", "case when resolved = 1 then 528 end"),
        (RATIO, "first_response_hours_median", "case when used = 1 then 1 end"),
    ],
    "kpi_expansion": [
        (COUNT, "opening_customers", "opening_n"), (COUNT, "upsold_customers", "if(expansion > 0, 1, 0)"),
        (RATIO, "upsell_rate", "if(expansion > 0, 1, 0) / nullif(opening_n, 0)"), (MONEY, "upsell_mrr", "expansion"),
        (COUNT, "cross_sold_customers", "0"), (RATIO, "cross_sell_rate", "0 / nullif(opening_n, 0)"),
        (MONEY, "cross_sell_mrr", "0"),
    ],
    "kpi_onboarding": [
        (COUNT, "new_accounts", "3"), (COUNT, "eligible_accounts", "2"), (COUNT, "onboarded_accounts", "1"),
        (RATIO, "onboarding_completion_rate", "0.5"), (RATIO, "days_to_onboard_median", "12"),
    ],
    "kpi_trials": [
        (COUNT, "trials_ended", "2"), (COUNT, "trials_converted", "1"), (RATIO, "trial_conversion_rate", "0.5"),
    ],
}  # fmt: skip
# Trials may still convert in the 30 days after the period.
COMPLETE = {"kpi_trials": "period_end + 30 <= cast($as_of as date) as is_complete"}

# What the figures of usage and service come from: the period's last day measured, and whether its days hold 10 January,
# how many of the 7 days from then on, and 1 February.
ACTIVITY = (
    "least(period_end, cast($as_of as date)) as until, until - period_start + 1 as days, "
    "cast(period_start <= date '2024-01-10' as bigint) as used, "
    "used * (least(until, date '2024-01-16') - date '2024-01-10' + 1) as week_days, "
    "cast(date '2024-02-01' between period_start and until as bigint) as resolved"
)

# metric: table, column, numerator, denominator
VALUES = {
    "mrr": ("kpi_mrr", "closing_mrr", "null", "null"),
    "arr": ("kpi_mrr", "arr", "null", "null"),
    "customers": ("kpi_mrr", "customers", "null", "null"),
    "arpa": ("kpi_mrr", "arpa", "closing_mrr", "customers"),
    "quick_ratio": ("kpi_mrr", "quick_ratio", "new_mrr + reactivation_mrr + expansion_mrr",
                    "contraction_mrr + churned_mrr"),
    "customer_churn_rate": ("kpi_churn", "customer_churn_rate", "churned_customers", "opening_customers"),
    "revenue_churn_rate": ("kpi_churn", "revenue_churn_rate", "churned_mrr", "opening_mrr"),
    "gross_revenue_churn_rate": ("kpi_churn", "gross_revenue_churn_rate", "churned_mrr + contraction_mrr",
                                 "opening_mrr"),
    "net_revenue_churn_rate": ("kpi_churn", "net_revenue_churn_rate", "churned_mrr + contraction_mrr - expansion_mrr",
                               "opening_mrr"),
    "customer_retention_rate": ("kpi_retention", "customer_retention_rate",
                                "closing_customers - new_customers - reactivated_customers", "opening_customers"),
    "nrr": ("kpi_nrr", "nrr", "retained_mrr", "opening_mrr"),
    "grr": ("kpi_nrr", "grr", "gross_retained_mrr", "opening_mrr"),
    "nrr_12m": ("kpi_nrr", "nrr_12m", "retained_12m_mrr", "cohort_12m_mrr"),
    "grr_12m": ("kpi_nrr", "grr_12m", "gross_retained_12m_mrr", "cohort_12m_mrr"),
    "ltv": ("kpi_ltv", "ltv", "null", "null"),
    "average_lifetime_months": ("kpi_ltv", "average_lifetime_months", "null", "null"),
    "stickiness": ("kpi_engagement", "stickiness", "active_users_daily_average", "active_users"),
    "active_account_rate": ("kpi_engagement", "active_account_rate", "active_customers", "customers_in_period"),
    "seat_utilisation": ("kpi_engagement", "seat_utilisation", "active_users", "seats"),
    "sessions_per_active_user": ("kpi_engagement", "sessions_per_active_user", "sessions", "active_users"),
    "nps": ("kpi_satisfaction", "nps", "promoters - detractors", "nps_responses"),
    "csat_rate": ("kpi_satisfaction", "csat_rate", "csat_satisfied", "csat_responses"),
    **{
        name: (table, name, "null", "null")
        for table, names in {
            "kpi_engagement": ["active_users", "active_users_daily_average", "active_users_weekly_average", "sessions",
                               "session_minutes_average", "session_minutes_median"],
            "kpi_satisfaction": ["csat_average"],
            "kpi_support": ["tickets_opened", "tickets_resolved", "ticket_backlog", "ticket_resolution_hours_median",
                            "ticket_resolution_hours_p90", "ticket_resolution_hours_mean",
                            "first_response_hours_median"],
        }.items()
        for name in names
    },
    "trial_conversion_rate": ("kpi_trials", "trial_conversion_rate", "trials_converted", "trials_ended"),
}  # fmt: skip


@pytest.fixture(scope="session")
def write_candidate():
    return _write_candidate


def _write_candidate(path: Path, as_of: dt.date = FEBRUARY_END) -> Path:
    """Write the candidate as it is on `as_of`: FEBRUARY_END, or MID_JANUARY, when no month is complete yet."""
    with duckdb.connect(str(path)) as connection:
        _write_kpis(connection, as_of)
        _write_values(connection)
        _write_scorecard(connection)
        _write_accounts(connection, as_of)
        _write_cohorts(connection, as_of)
        _write_lifetimes(connection, as_of)
        _write_meta(connection, as_of)
    return path


def _write_kpis(connection: duckdb.DuckDBPyConnection, as_of: dt.date) -> None:
    connection.execute(f"create temp table flows ({PERIOD}, {SEGMENT}, {FLOWS})")
    for period in (p for p in PERIODS if p[1] <= as_of):
        is_first = as_of == MID_JANUARY or period[3] == "2024-01"
        flows = JANUARY if is_first else FEBRUARY if period[0] == "month" else RUNNING_QUARTER
        for segment in (("total", "all"), ("plan", "Basic")):
            row = (*period, period[2] <= as_of, *segment, *flows)
            connection.execute(f"insert into flows values ({', '.join('?' * len(row))})", row)
    closing = "opening + new + expansion - churned as closing, opening_n + new_n - churned_n as closing_n"
    for table, columns in KPI.items():
        selected = ", ".join(f"{cast.format(formula)} as {name}" for cast, name, formula in columns)
        connection.execute(
            f"create table {table} as with f as (select *, {closing}, {ACTIVITY} from flows) select grain, "
            f"period_start, period_end, period_label, {COMPLETE.get(table, 'is_complete')}, segment_dimension, "
            f"segment_value, {selected} from f",
            {"as_of": as_of},
        )
    connection.execute(
        "create table fct_engagement_daily as select cast(unnest(generate_series(date '2024-01-10', cast(? as date), "
        "interval 1 day)) as date) as date, segment_dimension, segment_value, "
        "cast(date = date '2024-01-10' as bigint) as active_users, "
        "cast(date <= date '2024-01-16' as bigint) as active_users_7d, "
        "cast(date <= date '2024-02-08' as bigint) as active_users_30d, active_users as active_accounts, "
        "active_users as sessions, false as is_account_level "
        "from (select distinct segment_dimension, segment_value from flows)",
        [as_of],
    )


def _write_values(connection: duckdb.DuckDBPyConnection) -> None:
    selects = [
        f"select '{metric}' as metric_id, grain, period_start, segment_dimension, segment_value, period_end, "
        f"cast({column} as double) as value, cast({numerator} as double) as numerator, "
        f"cast({denominator} as double) as denominator, cast(null as double) as ci_low, "
        f"cast(null as double) as ci_high, is_complete, true as is_small_sample from {table}"
        for metric, (table, column, numerator, denominator) in VALUES.items()
    ]
    connection.execute(f"create table kpi_values as {' union all '.join(selects)}")
    connection.execute(
        "create table dim_metrics as select unnest(?) as metric_id, 'Name' as name_en, '名前' as name_ja, "
        "'ratio' as unit, 'up' as direction, 'text' as definition_en, '文' as definition_ja, 'a / b' as formula, "
        "'kpi_mrr' as table_name, 'a' as numerator, 'b' as denominator, 1 as definition_version",
        [list(VALUES)],
    )


def _write_scorecard(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create table kpi_scorecard as with k as (select *, lag(value) over w as previous_value from kpi_values "
        "window w as (partition by metric_id, grain, segment_value order by period_start)) "
        "select metric_id, grain, period_start, segment_dimension, segment_value, value, "
        "if(metric_id = 'nrr', 0.9::double, null) as target, if(metric_id = 'nrr', 0.7::double, null) as "
        "warning_threshold, case when metric_id <> 'nrr' then 'no_target' when value is null then 'no_data' "
        "when value >= 0.9 then 'on_track' when value >= 0.7 then 'at_risk' else 'missed' end as status, "
        "previous_value, value - previous_value as change, cast(null as double) as year_ago_value, "
        "cast(null as double) as year_change from k"
    )


def _write_cohorts(connection: duckdb.DuckDBPyConnection, as_of: dt.date) -> None:
    connection.execute(
        f"create table kpi_cohorts (cohort_month DATE, months_since_start BIGINT, {SEGMENT}, period_end DATE, "
        "cohort_customers BIGINT, retained_customers BIGINT, customer_retention_rate DOUBLE, "
        "cohort_mrr DECIMAL(18,4), retained_mrr DECIMAL(18,4), revenue_retention_rate DOUBLE)"
    )
    months = [(0, dt.date(2024, 1, 31), 2, 150), (1, FEBRUARY_END, 1, 120)]
    for since, end, retained, mrr in (month for month in months if month[1] <= as_of):
        for segment in (("total", "all"), ("plan", "Basic")):
            row = (PERIODS[0][1], since, *segment, end, 2, retained, retained / 2, 150, mrr, mrr / 150)
            connection.execute(f"insert into kpi_cohorts values ({', '.join('?' * len(row))})", row)


def _write_lifetimes(connection: duckdb.DuckDBPyConnection, as_of: dt.date) -> None:
    connection.execute(
        "create table fct_account_ltv as select account_id, first_paid_date, "
        "cast(if(account_id = 'A1' and cast(? as date) = date '2024-02-29', 2, 1) as bigint) as tenure_months, "
        "current_mrr, cast(70 as decimal(18,4)) as paid_total, cast(70 as decimal(18,4)) as ltv_realised, "
        "cast(if(is_customer, current_mrr, null) as double) as ltv_expected, touch_tier from dim_accounts",
        [as_of],
    )


def _write_accounts(connection: duckdb.DuckDBPyConnection, as_of: dt.date) -> None:
    january, quarter, year = ("month", PERIODS[0][1]), ("quarter", PERIODS[2][1]), ("year", PERIODS[3][1])
    balances = [("A1", *january, 0, 100, "new"), ("A2", *january, 0, 50, "new")]
    if as_of == MID_JANUARY:
        balances += [(a, *p, 0, mrr, "new") for p in (quarter, year) for a, mrr in (("A1", 100), ("A2", 50))]
    else:
        february = ("month", PERIODS[1][1])
        balances += [("A1", *february, 100, 120, "expansion"), ("A2", *february, 50, 0, "churn")]
        balances += [("A1", *p, 0, 120, "new") for p in (quarter, year)]
    connection.execute(
        "create table fct_account_periods (account_id VARCHAR, grain VARCHAR, period_start DATE, plan VARCHAR, "
        "product VARCHAR, industry VARCHAR, region VARCHAR, company_size VARCHAR, owner VARCHAR, touch_tier VARCHAR, "
        "opening_mrr DECIMAL(18,4), fx_impact_mrr DECIMAL(18,4), closing_mrr DECIMAL(18,4), movement VARCHAR, "
        "movement_mrr DECIMAL(18,4), is_customer_opening BOOLEAN, is_customer_closing BOOLEAN, "
        "mrr_12m_ago DECIMAL(18,4), "
        "active_users BIGINT, sessions BIGINT, tickets_opened BIGINT)"
    )
    for account, grain, start, opening, closing, movement in balances:
        used = int(account == "A1" and start <= dt.date(2024, 1, 10))
        row = (account, grain, start, "Basic", *["(unknown)"] * 6, opening, 0, closing, movement, closing - opening,
               opening > 0, closing > 0, 0, used, used, used)  # fmt: skip
        connection.execute(f"insert into fct_account_periods values ({', '.join('?' * len(row))})", row)
    current = {"A1": 100, "A2": 50} if as_of == MID_JANUARY else {"A1": 120, "A2": 0}
    connection.execute(
        "create table dim_accounts (account_id VARCHAR, account_name VARCHAR, industry VARCHAR, region VARCHAR, "
        "company_size VARCHAR, owner VARCHAR, created_at TIMESTAMP, first_paid_date DATE, last_active_date DATE, "
        "is_customer BOOLEAN, current_mrr DECIMAL(18,4), touch_tier VARCHAR, community_touch BOOLEAN)"
    )
    for account, mrr in current.items():
        row = (account, f"Company {account}", *["(unknown)"] * 4, dt.datetime(2024, 1, 1), dt.date(2024, 1, 1), None,
               mrr > 0, mrr, "tech_touch" if mrr > 0 else None, False)  # fmt: skip
        connection.execute(f"insert into dim_accounts values ({', '.join('?' * len(row))})", row)


def _write_meta(connection: duckdb.DuckDBPyConnection, as_of: dt.date) -> None:
    connection.execute(
        "create table meta_release as select 'r2' as release_id, timestamp '2024-03-01 03:30:00' as created_at, "
        "cast(? as date) as as_of_date, cast(? as date) as logical_date, null as git_sha, 'i' as input_hash, "
        "'c' as contracts_hash, 'e' as expectations_hash, 's' as settings_hash, 'r1' as previous_release_id",
        [as_of, as_of],
    )
    connection.execute(
        "create table meta_quality_results as select 'raw/crm/accounts' as suite, "
        "'expect_column_values_to_be_unique' as expectation, 'account_id' as column_name, 'critical' as severity, "
        "true as success, '0 unexpected of 2 rows' as observed_value, 2::bigint as evaluated_rows, "
        "0::bigint as unexpected_count"
    )
    connection.execute(
        "create table meta_row_accounting as select 'crm' as system, unnest(['accounts', 'subscriptions']) as extract, "
        "cast(? as date) as extract_date, 'all.csv' as file_name, 'ab' as file_sha256, 40::bigint as delivered_rows, "
        "39::bigint as accepted_rows, 1::bigint as quarantined_rows, 0::bigint as superseded_rows, "
        "'accepted' as status",
        [as_of],
    )
    connection.execute(
        "create table meta_restatements as select grain, period_start, 'kpi_mrr' as table_name, 'closing_mrr' as "
        "column_name, segment_dimension, segment_value, 149::double as previous_value, closing_mrr::double as "
        "new_value, 'r2' as release_id from kpi_mrr where period_label = '2024-01' and is_complete"
    )
