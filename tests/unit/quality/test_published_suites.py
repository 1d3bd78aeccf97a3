"""Every expectation on the published tables: a sound candidate passes it, a broken cell fails it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import duckdb
import pytest

from dagster_project.quality.audit import audit
from dagster_project.quality.results import render_failures
from dagster_project.settings import EXPECTATIONS

PUBLISHED = EXPECTATIONS / "published"
KPI_TABLES = (
    "kpi_mrr",
    "kpi_churn",
    "kpi_retention",
    "kpi_nrr",
    "kpi_ltv",
    "kpi_expansion",
    "kpi_onboarding",
    "kpi_trials",
    "kpi_engagement",
    "kpi_satisfaction",
    "kpi_support",
)
TABLES = sorted(path.stem for path in PUBLISHED.glob("*.json"))

# What breaks an expectation that every KPI table has.
BROKEN_KPI_TABLES = {
    "expect_compound_columns_to_be_unique": "insert into {t} select * from {t} where grain = 'year'",
    "no_nulls": "update {t} set period_label = null where grain = 'year'",
    "expect_column_values_to_be_in_set(grain)": "update {t} set grain = 'week' where grain = 'year'",
    "periods_without_gaps": "update {t} set period_end = period_end - 1 where period_start = date '2024-01-01'",
    "covers_as_of_date": "update {t} set is_complete = true where grain = 'year'",
    "every_segment_in_every_period": "delete from {t} where grain = 'year' and segment_dimension = 'plan'",
}

# (table, expectation, what breaks it)
BROKEN = [
    ("kpi_mrr", "segments_sum_to_total", "update {t} set arr = arr + 1 where segment_dimension = 'plan'"),
    ("kpi_mrr", "ratios_follow_their_parts", "update {t} set arpa = 'nan' where grain = 'year'"),
    ("kpi_mrr", "movements_explain_closing", "update {t} set new_mrr = new_mrr + 0.0001"),
    ("kpi_mrr", "opening_is_previous_closing", "update {t} set opening_mrr = 149 where period_label = '2024-02'"),
    ("kpi_mrr", "grains_close_alike", "update {t} set period_end = date '2024-02-29' where grain = 'year'; "
     "update {t} set closing_mrr = 1 where grain = 'year'"),
    ("kpi_mrr", "values_in_range", "update {t} set contraction_mrr = -1"),
    ("kpi_mrr", "plausible_change_of_closing_mrr",
     "update {t} set closing_mrr = 1000 where period_label = '2024-02'"),
    ("kpi_mrr", "plausible_change_of_customers", "update {t} set customers = 9 where period_label = '2024-02'"),
    ("kpi_churn", "segments_sum_to_total",
     "update {t} set same_period_churned_customers = 5 where segment_value = 'Basic'"),
    ("kpi_churn", "ratios_follow_their_parts", "update {t} set customer_churn_rate = 0 where opening_customers = 0"),
    ("kpi_churn", "values_in_range", "update {t} set churned_customers = opening_customers + 1"),
    ("kpi_churn", "agrees_with_kpi_mrr", "update {t} set expansion_mrr = expansion_mrr + 1"),
    ("kpi_retention", "segments_sum_to_total", "update {t} set new_customers = 7 where segment_dimension = 'plan'"),
    ("kpi_retention", "ratios_follow_their_parts", "update {t} set customer_retention_rate = 0.9"),
    ("kpi_retention", "movements_explain_closing", "update {t} set reactivated_customers = 1"),
    ("kpi_retention", "opening_is_previous_closing",
     "update {t} set opening_customers = 1 where period_label = '2024-02'"),
    ("kpi_retention", "values_in_range", "update {t} set churned_customers = -1"),
    ("kpi_retention", "agrees_with_kpi_mrr", "update {t} set closing_customers = closing_customers + 1"),
    ("kpi_retention", "agrees_with_kpi_churn", "delete from {t} where period_label = '2024-02'"),
    ("kpi_nrr", "segments_sum_to_total", "update {t} set cohort_12m_customers = 1 where segment_dimension = 'plan'"),
    ("kpi_nrr", "ratios_follow_their_parts", "update {t} set nrr_12m = 1"),
    ("kpi_nrr", "values_in_range", "update {t} set gross_retained_mrr = retained_mrr + 1"),
    ("kpi_nrr", "agrees_with_kpi_mrr", "update {t} set retained_mrr = retained_mrr + 1"),
    ("kpi_nrr", "agrees_with_kpi_churn", "update {t} set opening_customers = opening_customers + 1"),
    ("kpi_nrr", "cohort_is_customers_a_year_ago", "update {t} set cohort_12m_customers = 1"),
    ("kpi_ltv", "segments_sum_to_total", "update {t} set customers = 5 where segment_dimension = 'plan'"),
    ("kpi_ltv", "expect_column_values_to_be_in_set(ltv_status)", "update {t} set ltv_status = 'fine'"),
    ("kpi_ltv", "values_in_range", "update {t} set gross_margin = 80"),
    ("kpi_ltv", "status_explains_ltv", "update {t} set ltv = 9999 where ltv_status = 'no_churn_observed'"),
    ("kpi_ltv", "ltv_follows_its_parts", "update {t} set ltv = ltv * 1.01"),
    ("kpi_ltv", "agrees_with_kpi_mrr", "update {t} set arpa = arpa + 1"),
    ("kpi_engagement", "segments_sum_to_total", "update {t} set seats = seats + 1 where segment_dimension = 'plan'"),
    ("kpi_engagement", "ratios_follow_their_parts", "update {t} set stickiness = 0.5 where grain = 'quarter'"),
    ("kpi_engagement", "values_in_range", "update {t} set active_users_weekly_average = 0"),
    ("kpi_engagement", "one_kind_of_user", "update {t} set is_account_level = true where grain = 'year'"),
    ("kpi_engagement", "agrees_with_fct_account_periods", "delete from {t}"),
    ("kpi_engagement", "agrees_with_kpi_churn", "update {t} set customers_in_period = customers_in_period + 2"),
    ("fct_engagement_daily", "expect_compound_columns_to_be_unique", "insert into {t} from {t} limit 1"),
    ("fct_engagement_daily", "no_nulls", "update {t} set is_account_level = null"),
    ("fct_engagement_daily", "expect_column_values_to_be_in_set(segment_dimension)",
     "update {t} set segment_dimension = 'owner' where segment_dimension = 'plan'"),
    ("fct_engagement_daily", "days_without_gaps", "delete from {t} where date = date '2024-01-12'"),
    ("fct_engagement_daily", "segments_sum_to_total",
     "update {t} set active_users_30d = 2 where segment_dimension = 'plan'"),
    ("fct_engagement_daily", "values_in_range", "update {t} set active_users_7d = active_users_30d + 1"),
    ("fct_engagement_daily", "agrees_with_kpi_engagement", "update {t} set active_users_7d = 0"),
    ("kpi_satisfaction", "segments_sum_to_total",
     "update {t} set passives = passives + 1 where segment_dimension = 'plan'"),
    ("kpi_satisfaction", "ratios_follow_their_parts", "update {t} set nps = 0.5 where nps is not null"),
    ("kpi_satisfaction", "values_in_range", "update {t} set csat_satisfied = 2"),
    ("kpi_satisfaction", "scores_add_up", "update {t} set detractors = 1"),
    ("kpi_satisfaction", "grains_agree", "update {t} set csat_responses = 2 where grain = 'year'"),
    ("kpi_support", "segments_sum_to_total", "update {t} set ticket_backlog = 9 where segment_dimension = 'plan'"),
    ("kpi_support", "values_in_range", 
     "update {t} set ticket_resolution_hours_median = 529 where tickets_resolved = 1"),
    ("kpi_support", "backlog_is_carried_on", "update {t} set ticket_backlog = 0 where period_label = '2024-01'"),
    ("kpi_support", "agrees_with_fct_account_periods", "update {t} set tickets_opened = 2 where grain = 'year'"),
    ("kpi_values", "agrees_with_usage_and_service_tables",
     "delete from {t} where metric_id = 'ticket_backlog' and grain = 'year'"),
    ("kpi_values", "usage_and_service_ratios_follow_their_parts", "update {t} set value = 0.5 where metric_id = 'nps'"),
    ("kpi_expansion", "segments_sum_to_total", "update {t} set upsell_mrr = 1 where segment_dimension = 'plan'"),
    ("kpi_expansion", "ratios_follow_their_parts", "update {t} set cross_sell_rate = 0.1"),
    ("kpi_expansion", "values_in_range", "update {t} set cross_sold_customers = 1"),
    ("kpi_expansion", "agrees_with_kpi_churn", "update {t} set opening_customers = opening_customers + 1"),
    ("kpi_onboarding", "segments_sum_to_total", "update {t} set new_accounts = 4 where segment_dimension = 'plan'"),
    ("kpi_onboarding", "rate_follows_its_parts",
     "update {t} set onboarding_completion_rate = null where grain = 'year'"),
    ("kpi_onboarding", "values_in_range", "update {t} set days_to_onboard_median = null"),
    ("kpi_trials", "segments_sum_to_total", "update {t} set trials_ended = 4 where segment_dimension = 'plan'"),
    ("kpi_trials", "ratios_follow_their_parts", "update {t} set trial_conversion_rate = 1"),
    ("kpi_trials", "values_in_range", "update {t} set trials_converted = 3"),
    ("kpi_cohorts", "expect_compound_columns_to_be_unique", "insert into {t} from {t}"),
    ("kpi_cohorts", "no_nulls", "update {t} set retained_mrr = null"),
    ("kpi_cohorts", "starts_whole", "update {t} set retained_customers = 1 where months_since_start = 0"),
    ("kpi_cohorts", "months_without_gaps", "delete from {t} where months_since_start = 0"),
    ("kpi_cohorts", "months_without_gaps", "update {t} set cohort_mrr = 151 where months_since_start = 1"),
    ("kpi_cohorts", "ends_with_last_complete_month", "delete from {t} where months_since_start = 1"),
    ("kpi_cohorts", "segments_sum_to_total", "update {t} set retained_mrr = 119 where segment_value = 'Basic'"),
    ("kpi_cohorts", "ratios_follow_their_parts", "update {t} set revenue_retention_rate = 1"),
    ("kpi_cohorts", "values_in_range", "update {t} set retained_customers = 3"),
    ("kpi_cohorts", "agrees_with_kpi_mrr", "update {t} set retained_mrr = retained_mrr + 0.0001"),
    ("fct_account_ltv", "expect_column_values_to_be_unique(account_id)", "insert into {t} from {t}"),
    ("fct_account_ltv", "no_nulls", "update {t} set paid_total = null"),
    ("fct_account_ltv", "expect_column_values_to_be_in_set(touch_tier)", "update {t} set touch_tier = 'vip'"),
    ("fct_account_ltv", "values_in_range", "update {t} set tenure_months = -1"),
    ("fct_account_ltv", "realised_is_margin_of_paid", "update {t} set ltv_realised = 71"),
    ("fct_account_ltv", "agrees_with_dim_accounts", "delete from {t} where account_id = 'A2'"),
    ("kpi_scorecard", "expect_compound_columns_to_be_unique", "insert into {t} select * from {t} where grain = 'year'"),
    ("kpi_scorecard", "no_nulls", "update {t} set status = null where grain = 'year'"),
    ("kpi_scorecard", "expect_column_values_to_be_in_set(status)", "update {t} set status = 'fine'"),
    ("kpi_scorecard", "status_follows_target", "update {t} set target = 0.8 where metric_id = 'nrr'"),
    ("kpi_scorecard", "agrees_with_kpi_values", "delete from {t} where metric_id = 'arr' and grain = 'year'"),
    ("kpi_scorecard", "agrees_with_kpi_values", "update {t} set value = -value where metric_id = 'arr'"),
    ("kpi_scorecard", "compares_with_earlier_periods",
     "update {t} set previous_value = null where metric_id = 'mrr'"),
    ("kpi_scorecard", "compares_with_earlier_periods", "update {t} set change = 1 where metric_id = 'mrr'"),
    ("kpi_scorecard", "compares_with_earlier_periods",
     "update {t} set previous_value = value, change = 0 where metric_id = 'mrr' and previous_value is not null"),
    ("kpi_scorecard", "compares_with_earlier_periods", "update {t} set year_ago_value = 1 where metric_id = 'arr'"),
    ("kpi_scorecard", "compares_with_earlier_periods", "update {t} set year_change = 1 where metric_id = 'arr'"),
    ("kpi_values", "expect_compound_columns_to_be_unique", "insert into {t} select * from {t} where metric_id = 'nrr'"),
    ("kpi_values", "no_nulls", "update {t} set is_small_sample = null"),
    ("kpi_values", "expect_column_values_to_be_in_set(grain)", "update {t} set grain = 'week' where grain = 'year'"),
    ("kpi_values", "metric_is_in_catalogue", "update {t} set metric_id = 'magic' where metric_id = 'nrr'"),
    ("kpi_values", "agrees_with_kpi_tables", "delete from {t} where metric_id = 'ltv' and grain = 'year'"),
    ("kpi_values", "ratio_follows_its_parts", "update {t} set denominator = null where metric_id = 'grr'"),
    ("kpi_values", "interval_holds_value", "update {t} set ci_low = value + 1, ci_high = value + 2"),
    ("kpi_values", "values_are_finite", "update {t} set value = 'inf' where metric_id = 'quick_ratio'"),
    ("dim_metrics", "expect_column_values_to_be_unique(metric_id)", "insert into {t} from {t}"),
    ("dim_metrics", "no_nulls", "update {t} set definition_ja = null"),
    ("dim_metrics", "core_metrics_present", "delete from {t} where metric_id = 'grr_12m'"),
    ("dim_accounts", "expect_column_values_to_be_unique(account_id)", "insert into {t} from {t}"),
    ("dim_accounts", "no_nulls", "update {t} set current_mrr = null where account_id = 'A2'"),
    ("dim_accounts", "values_in_range", "update {t} set is_customer = true"),
    ("dim_accounts", "customer_has_first_paid_date", "update {t} set first_paid_date = null where is_customer"),
    ("dim_accounts", "expect_column_values_to_be_in_set(touch_tier)", "update {t} set touch_tier = 'vip'"),
    ("dim_accounts", "agrees_with_kpi_mrr", "update {t} set current_mrr = 121 where account_id = 'A1'"),
    ("dim_accounts", "accounts_known_to_crm", "update {t} set account_name = null, created_at = null"),
    ("fct_account_periods", "expect_compound_columns_to_be_unique", "insert into {t} from {t}"),
    ("fct_account_periods", "no_nulls", "update {t} set plan = null"),
    ("fct_account_periods", "expect_column_values_to_be_in_set(grain)", "update {t} set grain = 'day'"),
    ("fct_account_periods", "expect_column_values_to_be_in_set(movement)", "update {t} set movement = 'upsell'"),
    ("fct_account_periods", "movement_follows_balances",
     "update {t} set movement = 'churn' where movement = 'expansion'"),
    ("fct_account_periods", "opening_is_previous_closing", "delete from {t} where period_start = date '2024-01-01'"),
    ("fct_account_periods", "opening_is_previous_closing", "update {t} set opening_mrr = 0 where opening_mrr = 50"),
    ("fct_account_periods", "opening_is_previous_closing",
     "insert into {t} select * replace (date '2030-01-01' as period_start) from {t} where opening_mrr = 0 limit 1"),
    ("fct_account_periods", "account_is_known", "update {t} set account_id = 'A9' where account_id = 'A2'"),
    ("fct_account_periods", "sums_to_kpi_tables", "update {t} set plan = 'Gold' where account_id = 'A1'"),
    ("meta_release", "expect_table_row_count_to_equal", "insert into {t} from {t}"),
    ("meta_release", "no_nulls", "update {t} set input_hash = null"),
    ("meta_release", "is_not_its_own_previous", "update {t} set previous_release_id = release_id"),
    ("meta_quality_results", "key_is_unique", "insert into {t} from {t}"),
    ("meta_quality_results", "no_nulls", "update {t} set success = null"),
    ("meta_quality_results", "expect_column_values_to_be_in_set(severity)", "update {t} set severity = 'info'"),
    ("meta_quality_results", "no_critical_failure", "update {t} set success = false"),
    ("meta_quality_results", "values_in_range", "update {t} set unexpected_count = -1"),
    ("meta_restatements", "key_is_unique", "insert into {t} from {t}"),
    ("meta_restatements", "no_nulls", "update {t} set column_name = null"),
    ("meta_restatements", "period_is_complete", "update {t} set grain = 'year'"),
    ("meta_restatements", "values_differ", "update {t} set previous_value = null, new_value = null"),
    ("meta_restatements", "agrees_with_meta_release", "update meta_release set previous_release_id = null"),
    ("meta_restatements", "agrees_with_kpi_mrr", "update {t} set new_value = 151"),
    ("meta_restatements", "mrr_is_hardly_restated", "update {t} set previous_value = null"),
    ("meta_row_accounting", "key_is_unique", "insert into {t} from {t}"),
    ("meta_row_accounting", "no_nulls", "update {t} set status = null"),
    ("meta_row_accounting", "rows_balance", "update {t} set accepted_rows = accepted_rows - 1"),
    ("meta_row_accounting", "few_rows_quarantined", "update {t} set quarantined_rows = 20, accepted_rows = 20"),
    ("meta_row_accounting", "core_extracts_are_recent", "update {t} set extract_date = extract_date - 4"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory, write_candidate) -> Path:
    return write_candidate(tmp_path_factory.mktemp("candidate") / "kpi.duckdb")


@pytest.fixture
def candidate(sound, tmp_path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "kpi.duckdb"))


def short(result) -> str:
    """The name used in this file: meta.name, or the type with its column where one type occurs on several."""
    _, _, name = result.expectation.partition(":")
    single = result.column_name and "," not in result.column_name
    return name or (f"{result.expectation}({result.column_name})" if single else result.expectation)


def failed_on(candidate: Path, tables, sql: str) -> set[tuple[str, str]]:
    with duckdb.connect(str(candidate)) as connection:
        for table in tables:
            connection.execute(sql.format(t=table))
    report = audit(candidate, PUBLISHED, tables={f"published/{table}": table for table in tables})
    return {(r.suite.removeprefix("published/"), short(r)) for r in report.results if not r.success}


@pytest.mark.parametrize(
    "as_of", [dt.date(2024, 2, 29), dt.date(2024, 1, 15)], ids=["two_complete_months", "no_complete_month"]
)
def test_a_sound_candidate_passes_every_expectation(tmp_path, write_candidate, as_of):
    report = audit(write_candidate(tmp_path / "kpi.duckdb", as_of), PUBLISHED, expected_tables=TABLES)
    assert report.is_accepted, render_failures(report)
    assert report.planned == report.evaluated == sum(len(_suite(table)["expectations"]) for table in TABLES)
    assert not report.warnings


def test_tables_of_extracts_that_a_company_does_not_have_may_be_empty(candidate):
    optional = ["kpi_engagement", "fct_engagement_daily", "kpi_satisfaction", "kpi_support"]
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("update fct_account_periods set active_users = 0, sessions = 0, tickets_opened = 0")
        for table in optional[:1] + optional[2:]:
            columns = connection.execute(f"describe {table}").fetchall()
            for values in ("kpi_values", "kpi_scorecard"):
                connection.executemany(f"delete from {values} where metric_id = ?", [[name] for name, *_ in columns])
        for table in optional:
            connection.execute(f"delete from {table}")
    report = audit(candidate, PUBLISHED, expected_tables=TABLES)
    assert report.is_accepted, render_failures(report)


@pytest.mark.parametrize("expectation", BROKEN_KPI_TABLES)
def test_a_broken_kpi_table_fails(candidate, expectation):
    failed = failed_on(candidate, KPI_TABLES, BROKEN_KPI_TABLES[expectation])
    assert {(table, expectation) for table in KPI_TABLES} <= failed


@pytest.mark.parametrize(("table", "expectation", "sql"), BROKEN, ids=[f"{t}-{e}" for t, e, _ in BROKEN])
def test_a_broken_cell_fails(candidate, table, expectation, sql):
    assert (table, expectation) in failed_on(candidate, [table], sql)


def test_tables_without_their_extract_may_be_empty(candidate):
    assert failed_on(candidate, ["kpi_trials", "kpi_onboarding"], "delete from {t}") == set()


REVENUE_TABLES = ["kpi_mrr", "kpi_churn", "kpi_retention", "kpi_nrr", "kpi_expansion"]


@pytest.mark.parametrize("table", REVENUE_TABLES)
def test_revenue_tables_are_empty_only_where_nobody_ever_paid(candidate, table):
    assert (table, "covers_as_of_date") in failed_on(candidate, [table], "delete from {t}")


def test_a_company_without_subscriptions_has_no_revenue_tables(candidate):
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("update dim_accounts set first_paid_date = null")
        for table in REVENUE_TABLES:
            connection.execute(f"delete from {table}")
    report = audit(candidate, PUBLISHED, tables={f"published/{table}": table for table in REVENUE_TABLES})
    assert report.is_accepted, render_failures(report)


def test_every_published_expectation_is_broken_by_a_test_here(sound):
    broken = {(table, expectation) for table, expectation, _ in BROKEN}
    broken |= {(table, expectation) for table in KPI_TABLES for expectation in BROKEN_KPI_TABLES}
    report = audit(sound, PUBLISHED)
    assert {(r.suite.removeprefix("published/"), short(r)) for r in report.results} == broken


def _suite(table: str) -> dict:
    return json.loads((PUBLISHED / f"{table}.json").read_text(encoding="utf-8"))
