"""The compiled SQL of every model, run on an in-memory DuckDB in a fraction of a second.

dbt compiles the project once; the lake becomes one in-memory table per extract and the as-of date is put in by text, so
that each random company costs only its own queries. Every model becomes a table, whatever dbt makes of it: a view that
others read is computed once, and an incremental model as on its first run. No KPI logic here.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.extracts.contract import load_contracts
from dagster_project.settings import DBT_PROJECT, BusinessSettings, Settings, load_business_settings
from dagster_project.transformation import dbt_target, run_dbt

Row = dict[str, Any]
Lake = dict[str, list[Row]]  # rows per extract; each carries extract_date, and _file and _row where their order matters
Tables = dict[str, list[Row]]

LAKE = "lake_of_a_test"
COMPILED_AS_OF = "1999-12-31"
AS_OF = re.compile(rf"cast\('{COMPILED_AS_OF}' as date\)")
READ = re.compile(rf"read_parquet\((?:coalesce\([^[]*\[\]\), \[)?'{LAKE}/\w+/(\w+)/[^']*'(?:\]\))?,[^)]*\)")
RESULTS = ("kpi_", "fct_", "dim_")
WITHOUT_A_TABLE = {"int_targets", "kpi_scorecard"}  # they read targets, which no random company has
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
class Model:
    """The compiled SQL of a model or of a singular test, and the names of the models it reads."""

    sql: str
    reads: frozenset[str]


@dataclass(frozen=True)
class CompiledProject:
    """The project compiled with one set of business settings; `run` builds its models from a lake."""

    business: BusinessSettings
    connection: duckdb.DuckDBPyConnection
    models: dict[str, Model]  # in dependency order
    data_tests: dict[str, Model]
    columns: dict[str, dict[str, str]]  # extract: column: type
    warehouse: Path  # where dbt put the seeds

    def twin(self) -> CompiledProject:
        """The same project with a database of its own, for another thread."""
        return replace(self, connection=_connection(self.warehouse, self.columns))

    @property
    def results(self) -> list[str]:
        """The names of every dim, fact and KPI table but the scorecard."""
        return [name for name in self.models if name.startswith(RESULTS)]

    def run(self, lake: Lake, as_of: dt.date, tables: Iterable[str] | None = None) -> Tables:
        """Rows of the `tables` named, by default of all `results`. Raises duckdb.Error where a model refuses."""
        wanted = self.results if tables is None else list(tables)
        self._load(lake)
        self._build(wanted, as_of)
        return {name: self._rows(name) for name in wanted}

    def broken_data_tests(self, as_of: dt.date) -> list[str]:
        """The project's own singular tests that find a row in what `run` built of all results."""
        return [n for n, test in self.data_tests.items() if self.connection.execute(_as_of(test.sql, as_of)).fetchone()]

    def _load(self, lake: Lake) -> None:
        assert lake.keys() <= self.columns.keys(), sorted(lake)
        for extract, columns in self.columns.items():
            self.connection.execute(f"truncate {LAKE}_{extract}")
            rows = [", ".join(_literal(row.get(name)) for name in columns) for row in lake.get(extract, ())]
            if rows:
                values = ", ".join(f"({row})" for row in rows)
                self.connection.execute(f"insert into {LAKE}_{extract} values {values}")

    def _build(self, wanted: Iterable[str], as_of: dt.date) -> None:
        needed = set(wanted)
        for name in reversed(self.models):
            needed |= self.models[name].reads if name in needed else set()
        for name, model in self.models.items():
            if name in needed:
                self.connection.execute(f"create or replace table {name} as {_as_of(model.sql, as_of)}")

    def _rows(self, table: str) -> list[Row]:
        found = self.connection.execute(f"from {table}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@cache
def unusual_project() -> CompiledProject:
    """The project with the settings UNUSUAL, compiled once per process."""
    return compile_project(Path(_folder().name), UNUSUAL)


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()  # goes with the process


def compile_project(home: Path, overrides: dict[str, Any], project: Path = DBT_PROJECT) -> CompiledProject:
    """Compiles the dbt project, or a copy of it, with the business settings `overrides` puts over the defaults.

    What dbt writes lies below `home`; another call with the same home is faster, and parses what changed since.
    Raises TransformationFailed where dbt did not start, AssertionError where a model does not compile.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "vars.yml").write_text(json.dumps(overrides))  # JSON is YAML
    settings = Settings(home=home, vars=home / "vars.yml")
    business = load_business_settings(settings)
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    variables = {**business.model_dump(), "as_of": COMPILED_AS_OF, "lake": LAKE, "warehouse": str(settings.warehouse)}
    target = dbt_target(settings)
    # some models read a seed while they are compiled
    for command, select in (
        ("seed", ["resource_type:seed"]),
        ("compile", ["resource_type:model", "test_type:singular"]),
    ):
        options = ["--project-dir", project, "--profiles-dir", project, "--full-refresh", "--select", *select]
        results = run_dbt(command, target, variables, options=options)
        broken = [f"{r.unique_id}: {r.message}" for r in results if r.status != "success"]
        assert results and not broken, broken
    columns = {
        name.rpartition("/")[2]: {**contract.schema_types, **PARTITION}
        for name, contract in load_contracts(settings.contracts_folder).items()
    }
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    return CompiledProject(
        business,
        _connection(settings.warehouse, columns),
        {n["name"]: _compiled(target, n) for n in _in_order(nodes) if n["name"] not in WITHOUT_A_TABLE},
        {n["name"]: _compiled(target, n) for n in _singular_tests(nodes)},
        columns,
        settings.warehouse,
    )


def _connection(warehouse: Path, columns: dict[str, dict[str, str]]) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the seeds, and an empty table for every extract."""
    connection = duckdb.connect(config={"threads": 1, "preserve_insertion_order": False})
    connection.execute(f"attach '{warehouse}' as seeds (read_only)")
    seeds = connection.execute("select table_name from duckdb_tables() where database_name = 'seeds'").fetchall()
    for (seed,) in seeds:
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


def _compiled(target: Path, node: dict[str, Any]) -> Model:
    sql = (target / "compiled" / "keizoku" / node["original_file_path"]).read_text()
    sql = READ.sub(rf"{LAKE}_\1", sql.replace('"keizoku"."main".', ""))
    assert f"{LAKE}/" not in sql and '"keizoku"' not in sql, f"{node['name']} reads what is no table here:\n{sql}"
    assert COMPILED_AS_OF not in AS_OF.sub("", sql), f"{node['name']} has the as-of date as something else than a date"
    reads = (key.rpartition(".")[2] for key in node["depends_on"]["nodes"] if key.startswith("model."))
    return Model(sql, frozenset(reads))


def _as_of(sql: str, as_of: dt.date) -> str:
    return AS_OF.sub(f"date '{as_of}'", sql)


def _literal(value: Any) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"
