"""The tests that stand in the dbt project, tried against a warehouse built from an empty lake.

Unit tests must pass: their rows stand in the YAML files, the warehouse only lends column types. Singular data tests
must fail: each meets rows that break what it guards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml

from dagster_project.extracts.contract import load_contracts
from dagster_project.extracts.lake import write_empty_partitions
from dagster_project.settings import DBT_PROJECT, EXPECTATIONS, SHIPPED_CONTRACTS, Settings, load_business_settings
from dagster_project.transformation import NodeResult, build, dbt_target, prepared_manifest, run_dbt

AT_LEAST = 95

BAD_ROWS = """
    create temp table of_all as select 'month' as grain, date '2024-01-01' as period_start,
        'total' as segment_dimension, 'all' as segment_value;
    insert into kpi_mrr by name select *, 5.0 as opening_mrr, 0.0 as fx_impact_mrr, 100.0 as new_mrr,
        0.0 as reactivation_mrr, 0.0 as expansion_mrr, 0.0 as contraction_mrr, 0.0 as churned_mrr,
        105.0001 as closing_mrr, 1 as customers from of_all;
    insert into kpi_retention by name select *, 0 as opening_customers, 1 as new_customers, 0 as reactivated_customers,
        0 as churned_customers, 2 as closing_customers from of_all;
    insert into kpi_nrr by name select *, 5.0 as opening_mrr, 5.0 as retained_mrr, 5.0001 as gross_retained_mrr
        from of_all;
    insert into fct_account_periods by name select 'A1' as account_id, grain, period_start, 0.0 as opening_mrr,
        0.0 as fx_impact_mrr, 105.0 as closing_mrr, true as is_customer_closing from of_all;
"""


@dataclass(frozen=True)
class ProjectRun:
    """What dbt said on an empty lake, and then on BAD_ROWS."""

    built: list[NodeResult]
    unit_tests: list[NodeResult]
    singular_tests: list[NodeResult]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ProjectRun:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    settings.lake.mkdir(parents=True)
    settings.warehouse.parent.mkdir(parents=True)
    with duckdb.connect() as connection:
        write_empty_partitions(connection, settings, load_contracts(SHIPPED_CONTRACTS / "standard"))

    def dbt(command: str, *options: str) -> list[NodeResult]:
        variables = {"lake": str(settings.lake), "warehouse": str(settings.warehouse)}
        manifest = prepared_manifest(settings)
        return run_dbt(command, dbt_target(settings), variables, options=options, manifest=manifest)

    built = build(settings, load_business_settings(settings), date(2024, 1, 31))
    unit_tests = dbt("test", "--select", "test_type:unit")
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(BAD_ROWS)
    return ProjectRun(built, unit_tests, dbt("test", "--select", "test_type:singular"))


def test_models_build_from_an_empty_lake(run: ProjectRun) -> None:
    assert run.built
    assert [f"{r.unique_id}: {r.message}" for r in run.built if r.status not in ("success", "pass")] == []


def test_a_night_runs_no_unit_tests(run: ProjectRun) -> None:
    assert {r.resource_type for r in run.built} == {"seed", "model", "test"}


def test_a_night_tests_identities_and_what_data_may_break(run: ProjectRun) -> None:
    ran = {r.unique_id.split(".")[2] for r in run.built if r.resource_type == "test"}
    assert {path.stem for path in (DBT_PROJECT / "tests").glob("*.sql")} <= ran
    assert {"not_null_stg_crm__subscriptions_amount", "not_null_int_subscription_items_monthly_amount"} <= ran
    # only `keizoku explain` reads these
    assert not any("_contributions_" in name for name in ran)


@pytest.mark.parametrize("mart", sorted(path.stem for path in (DBT_PROJECT / "models" / "marts").glob("*.sql")))
def test_the_key_of_a_mart_is_tested_once_a_night_by_the_publish_gate(run: ProjectRun, mart: str) -> None:
    (model,) = yaml.safe_load((DBT_PROJECT / "models" / "marts" / f"{mart}.yml").read_text())["models"]
    (key,) = [t["unique_key"]["arguments"]["columns"] for t in model["data_tests"] if "unique_key" in t]
    suite = json.loads((EXPECTATIONS / "published" / f"{mart}.json").read_text())
    unique = [
        e["kwargs"].get("column_list", [e["kwargs"].get("column")])
        for e in suite["expectations"]
        if e["type"] in ("expect_compound_columns_to_be_unique", "expect_column_values_to_be_unique")
    ]
    assert key in unique
    assert not any(r.unique_id.split(".")[2].startswith(f"unique_key_{mart}_") for r in run.built)


def test_unit_tests_pass(run: ProjectRun) -> None:
    assert [f"{r.unique_id}: {r.message}" for r in run.unit_tests if r.status != "pass"] == []
    assert len(run.unit_tests) >= AT_LEAST


def test_every_model_below_the_marts_has_a_unit_test(run: ProjectRun) -> None:
    # unique_id: unit_test.<project>.<model>.<name>
    tested = {r.unique_id.split(".")[2] for r in run.unit_tests}
    models = {p.stem for layer in ("staging", "intermediate") for p in (DBT_PROJECT / "models" / layer).glob("*.sql")}
    assert models - tested == set()


def test_singular_tests_fail_on_rows_that_break_what_they_guard(run: ProjectRun) -> None:
    failed = {r.name for r in run.singular_tests if r.status == "fail"}
    assert failed == {path.stem for path in (DBT_PROJECT / "tests").glob("*.sql")}


def test_unit_tests_have_names_of_their_own() -> None:
    names = [t["name"] for path in _model_files() for t in yaml.safe_load(path.read_text()).get("unit_tests", [])]
    assert len(names) == len(set(names)) >= AT_LEAST


def _model_files() -> list[Path]:
    return sorted((DBT_PROJECT / "models").rglob("*.yml"))
