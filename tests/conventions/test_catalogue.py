"""The catalogue (dbt/seeds/metrics.csv), the marts, the docs blocks and the semantic layer say the same."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagster_project.settings import DBT_PROJECT

EXACT = {"bigint", "decimal(18,4)"}
# What may hold a value of the unit. Money is exact unless it was divided; a count may be a mean of counts.
TYPES = {
    "currency": {"decimal(18,4)", "double"},
    "count": {"bigint", "double"},
    **{unit: {"double"} for unit in ("share", "ratio", "months", "hours", "days", "minutes", "points", "score")},
}
# Amounts and counts that were divided.
AVERAGED = {"arpa", "ltv", "ltv_purchase", "ltv_realised", "active_users_daily_average", "active_users_weekly_average"}
PARTS = r"\n(.+?)\n\n- Grain: (.+?)\n- Edge cases: (.+?)\n- Decision: (.+?because.+?)\n- Example: (.*\d.*)\n"
# Columns that are no exact figure and yet no metric, and why.
NO_METRIC = {
    "kpi_ltv.arpa": "the metric arpa, repeated beside what it enters",
    "kpi_ltv.gross_margin": "a setting",
    "kpi_ltv.churn_rate_12m": "a factor of ltv",
    "kpi_ltv.average_purchase_value": "a factor of ltv_purchase",
    "kpi_ltv.purchases_per_customer_month": "a factor of ltv_purchase",
    "kpi_cohorts.customer_retention_rate": "of cohort months, which kpi_values has no key for",
    "kpi_cohorts.revenue_retention_rate": "of cohort months, which kpi_values has no key for",
}
LONG_TABLES = {"kpi_values", "kpi_scorecard"}
CATALOGUE = {
    row["metric_id"]: row
    for row in csv.DictReader((DBT_PROJECT / "seeds" / "metrics.csv").open(encoding="utf-8", newline=""))
}
HEADLINES = {"mrr", "arr", "customers", "arpa", "quick_ratio", "customer_churn_rate", "revenue_churn_rate",
             "gross_revenue_churn_rate", "net_revenue_churn_rate", "customer_retention_rate", "nrr", "grr", "nrr_12m",
             "grr_12m", "ltv", "nps", "csat_rate", "active_users", "stickiness", "trial_conversion_rate",
             "onboarding_completion_rate", "upsell_rate", "cross_sell_rate",
             "ticket_resolution_hours_median"}  # fmt: skip


@pytest.fixture(scope="module")
def marts(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The columns of each mart by name, in the order of the table."""
    nodes = manifest["nodes"].values()
    return {n["name"]: n["columns"] for n in nodes if n["resource_type"] == "model" and n["fqn"][1] == "marts"}


def test_a_metric_is_named_once_and_whole() -> None:
    rows = list(CATALOGUE.values())
    assert len(rows) == sum(1 for _ in (DBT_PROJECT / "seeds" / "metrics.csv").open(encoding="utf-8")) - 1
    for column in ("name_en", "name_ja", "definition_en", "definition_ja"):
        assert len({row[column] for row in rows}) == len(rows), column
    assert {row["unit"] for row in rows} == TYPES.keys()
    assert {row["direction"] for row in rows} == {"up", "down"}
    assert [row["metric_id"] for row in rows if not (row["formula"] and row["definition_version"])] == []


@pytest.mark.parametrize("metric", CATALOGUE)
def test_both_languages_are_sentences_of_their_own(metric: str) -> None:
    english, japanese = CATALOGUE[metric]["definition_en"], CATALOGUE[metric]["definition_ja"]
    assert re.fullmatch(r"[A-Z0-9][\x20-\x7e]+\.", english)
    assert japanese.endswith("。")
    assert re.search(r"[\u3041-\u309f]", japanese)


@pytest.mark.parametrize("metric", CATALOGUE)
def test_the_value_stands_in_its_mart_with_a_type_of_its_unit(metric: str, marts: dict[str, dict]) -> None:
    row = CATALOGUE[metric]
    column = marts[row["table_name"]][row["value_column"]]
    assert column["data_type"] in TYPES[row["unit"]]
    if row["unit"] in ("currency", "count"):
        assert (column["data_type"] == "double") == (metric in AVERAGED)


@pytest.mark.parametrize("metric", CATALOGUE)
def test_the_parts_of_a_ratio_are_exact_figures_of_its_mart(metric: str, marts: dict[str, dict]) -> None:
    row = CATALOGUE[metric]
    columns = marts[row["table_name"]]
    assert bool(row["numerator"]) == bool(row["denominator"])
    types = {name: columns[name]["data_type"] for p in ("numerator", "denominator") for name in identifiers(row[p])}
    if row["numerator"]:
        assert columns[row["value_column"]]["data_type"] == "double"
    if metric == "stickiness":  # whose numerator is a mean
        assert types.pop("active_users_daily_average") == "double"
    assert set(types.values()) <= EXACT
    if row["sample"]:
        assert columns[row["sample"]]["data_type"] == "bigint"
    if row["interval_method"]:
        assert set(types.values()) == {"bigint"}
        assert row["sample"] == row["denominator"]


def test_every_figure_that_was_divided_is_a_metric_or_deliberately_none(marts: dict[str, dict]) -> None:
    divided = {
        f"{table}.{name}"
        for table, columns in marts.items()
        if table.startswith("kpi_") and table not in LONG_TABLES
        for name, column in columns.items()
        if column["data_type"] not in EXACT and column["data_type"] not in ("varchar", "date", "boolean")
    }
    metrics = {f"{row['table_name']}.{row['value_column']}" for row in CATALOGUE.values()}
    assert divided - metrics == NO_METRIC.keys()


def test_long_tables_hold_values_as_doubles(marts: dict[str, dict]) -> None:
    assert all(marts[table]["value"]["data_type"] == "double" for table in LONG_TABLES)


@pytest.mark.parametrize("metric", CATALOGUE)
def test_a_metric_is_explained_once_with_all_its_parts(metric: str, manifest: dict[str, Any], marts: dict) -> None:
    text = manifest["docs"][f"doc.keizoku.{metric}"]["block_contents"]
    assert re.fullmatch(PARTS, f"\n{text.strip()}\n", re.DOTALL), text
    row = CATALOGUE[metric]
    assert marts[row["table_name"]][row["value_column"]]["doc_blocks"] == [f"doc.keizoku.{metric}"]


def test_no_docs_block_is_left_over(manifest: dict[str, Any], marts: dict[str, dict]) -> None:
    blocks = {name for name, doc in manifest["docs"].items() if doc["package_name"] == "keizoku"}
    pulled = {block for columns in marts.values() for column in columns.values() for block in column["doc_blocks"]}
    assert blocks == pulled


def test_documentation_is_generated_without_a_warning(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "dbt"), "--warn-error", "docs", "generate",
               "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target", "duckdb",
               "--target-path", str(tmp_path), "--log-path", str(tmp_path),
               "--vars", json.dumps({"warehouse": str(tmp_path / "empty.duckdb")})]  # fmt: skip
    environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "catalog.json").read_text())["errors"] is None


def test_the_semantic_layer_offers_the_headlines_under_their_names(manifest: dict[str, Any]) -> None:
    metrics = {m["name"]: m for m in manifest["metrics"].values()}
    assert metrics.keys() >= HEADLINES
    assert {name: metrics[name]["label"] for name in HEADLINES} == {n: CATALOGUE[n]["name_en"] for n in HEADLINES}
    undocumented = {
        name
        for name in HEADLINES
        if manifest["docs"][f"doc.keizoku.{name}"]["block_contents"] not in metrics[name]["description"]
    }
    assert undocumented == set()


def test_a_measure_counts_no_figure_twice(manifest: dict[str, Any]) -> None:
    """Months only, of the total where the table has its segments as rows, and no sum over months."""
    models = {m["name"]: m for m in manifest["semantic_models"].values()}
    assert models
    for model in models.values():
        rows_of = "grain = 'month'"
        if model["node_relation"]["alias"] != "fct_account_periods":
            rows_of += " and segment_dimension = 'total'"
        for measure in model["measures"]:
            assert rows_of in measure["expr"], measure["name"]
            assert measure["non_additive_dimension"]["name"] == "period_start", measure["name"]
            assert measure["non_additive_dimension"]["window_choice"] == "max", measure["name"]


def identifiers(expression: str) -> set[str]:
    return set(re.findall(r"[a-z_][a-z0-9_]*(?!\s*\()\b", expression))
