"""The compiled SQL of every model, run on an in-memory DuckDB in a fraction of a second.

dbt compiles the project once; the lake becomes one in-memory table per extract and the as-of date is put in by text, so
that each random company costs only its own queries. No KPI logic here.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.extracts.contract import load_contracts
from dagster_project.settings import BusinessSettings, Settings, load_business_settings
from dagster_project.transformation import dbt_target, prepared_manifest, run_dbt

Row = dict[str, Any]
Lake = dict[str, list[Row]]  # rows per extract; each carries extract_date, and _file and _row where their order matters
Tables = dict[str, list[Row]]

LAKE = "lake_of_a_test"
COMPILED_AS_OF = "cast('1999-12-31' as date)"
READ = re.compile(rf"read_parquet\('{LAKE}/\w+/(\w+)/[^)]*\)")
RESULTS = ("kpi_", "fct_", "dim_")
# Unlike the defaults wherever a setting could be forgotten; a sample of 3 lets the plans' own churn enter the tiers.
UNUSUAL = {
    "reporting_time_zone": "Europe/Berlin",
    "reporting_currency": "EUR",
    "fiscal_year_start_month": 2,
    "gross_margin": 0.8,
    "small_sample": 3,
    "onboarding": {"steps": ["kickoff", "event:login>=2"], "require": "any", "within_days": 60},
    "touch_tiers": {
        "high_touch_share": 0.3,
        "low_touch_share": 0.6,
        "high_touch_amount": None,
        "low_touch_amount": None,
    },
}
PARTITION = {"extract_date": "DATE", "_extra": "VARCHAR", "_file": "VARCHAR", "_row": "BIGINT"}


@dataclass(frozen=True)
class CompiledProject:
    """The project compiled with one set of business settings; `run` builds every model from a lake."""

    business: BusinessSettings
    connection: duckdb.DuckDBPyConnection
    tables: dict[str, str]  # model: SQL, in dependency order
    data_tests: dict[str, str]  # singular test: SQL returning the rows that break it
    columns: dict[str, dict[str, str]]  # extract: column: type

    def run(self, lake: Lake, as_of: dt.date) -> Tables:
        """Rows of every dim, fact and KPI table but the scorecard. Raises duckdb.Error where one refuses."""
        self._load(lake)
        for name, sql in self.tables.items():
            self.connection.execute(f"create or replace table {name} as {_as_of(sql, as_of)}")
        return {name: self._rows(name) for name in self.tables if name.startswith(RESULTS)}

    def broken_data_tests(self, as_of: dt.date) -> list[str]:
        """The project's own singular tests that find a row in what `run` built last."""
        return [n for n, sql in self.data_tests.items() if self.connection.execute(_as_of(sql, as_of)).fetchone()]

    def _load(self, lake: Lake) -> None:
        assert lake.keys() <= self.columns.keys(), sorted(lake)
        for extract, columns in self.columns.items():
            self.connection.execute(f"truncate {LAKE}_{extract}")
            rows = [", ".join(_literal(row.get(name)) for name in columns) for row in lake.get(extract, ())]
            if rows:
                values = ", ".join(f"({row})" for row in rows)
                self.connection.execute(f"insert into {LAKE}_{extract} values {values}")

    def _rows(self, table: str) -> list[Row]:
        found = self.connection.execute(f"from {table}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@cache
def unusual_project() -> CompiledProject:
    """The project with the settings UNUSUAL, compiled once per process."""
    with tempfile.TemporaryDirectory() as folder:
        return compile_project(Path(folder), UNUSUAL)


def compile_project(home: Path, overrides: dict[str, Any]) -> CompiledProject:
    """Compiles the dbt project below `home` with the business settings `overrides` puts over the defaults."""
    (home / "vars.yml").write_text(json.dumps(overrides))  # JSON is YAML
    settings = Settings(home=home, vars=home / "vars.yml")
    business = load_business_settings(settings)
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    variables = {**business.model_dump(), "as_of": "1999-12-31", "lake": LAKE, "warehouse": str(settings.warehouse)}
    target, manifest = dbt_target(settings), prepared_manifest(settings)
    # some models read a seed while they are compiled
    for command in (("seed", []), ("compile", ["--select", "resource_type:model", "test_type:singular"])):
        results = run_dbt(command[0], target, variables, options=command[1], manifest=manifest)
        assert {r.status for r in results} == {"success"}, results
    columns = {
        name.rpartition("/")[2]: {**contract.schema_types, **PARTITION}
        for name, contract in load_contracts(settings.contracts_folder).items()
    }
    nodes = json.loads(manifest.read_text())["nodes"]
    return CompiledProject(
        business,
        _connection(settings.warehouse, columns),
        {n["name"]: _compiled(target, n) for n in _in_order(nodes) if n["name"] != "kpi_scorecard"},
        {n["name"]: _compiled(target, n) for n in _singular_tests(nodes)},
        columns,
    )


def _connection(warehouse: Path, columns: dict[str, dict[str, str]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "preserve_insertion_order": False})
    connection.execute(f"attach '{warehouse}' as seeds (read_only)")
    for seed in ("metrics", "kpi_targets"):
        connection.execute(f"create table {seed} as from seeds.{seed}")
    connection.execute("detach seeds")
    for extract, types in columns.items():
        declared = ", ".join(f"{name} {kind}" for name, kind in types.items())
        connection.execute(f"create table {LAKE}_{extract} ({declared})")
    return connection


def _in_order(nodes: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The models, each after those it reads."""
    waiting = {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
    while waiting:
        ready = [key for key, node in waiting.items() if not waiting.keys() & set(node["depends_on"]["nodes"])]
        for key in ready:
            yield waiting.pop(key)


def _singular_tests(nodes: dict[str, Any]) -> list[dict[str, Any]]:
    return [n for n in nodes.values() if n["resource_type"] == "test" and n.get("test_metadata") is None]


def _compiled(target: Path, node: dict[str, Any]) -> str:
    sql = (target / "compiled" / "keizoku" / node["original_file_path"]).read_text()
    return READ.sub(rf"{LAKE}_\1", sql.replace('"keizoku"."main".', ""))


def _as_of(sql: str, as_of: dt.date) -> str:
    return sql.replace(COMPILED_AS_OF, f"date '{as_of}'")


def _literal(value: Any) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"
