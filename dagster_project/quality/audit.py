"""The gate itself: run suites on one DuckDB file, read-only, and judge every planned expectation.

Great Expectations is an aid here, not the judge: it leaves results out, passes empty tables and empty suites.
So every planned expectation gets a result row, and one that was not really evaluated is a critical failure.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from urllib.parse import quote

import duckdb

from dagster_project.quality.deferred import deferred
from dagster_project.quality.forked import shared_with_fork
from dagster_project.quality.results import AuditReport, Guidance, QualityResult
from dagster_project.quality.suites import (
    SQL_EXPECTATION,
    Planned,
    Suite,
    SuiteError,
    read_suite,
    suite_names,
    suite_path,
)

# Counts only: BASIC with no partial list is the fullest result format that holds no values.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}

# Errors about the query itself. Others (a failed conversion, say) may quote the data and are not repeated.
ERRORS_WITHOUT_VALUES = ("Binder Error", "Catalog Error", "Parser Error", "does not exist")

COUNTED = "count_of_unexpected_rows"  # Great Expectations' name for the class CountOfUnexpectedRows

# Great Expectations would join the table with its own groups to tell this: more than twice the work of counting them.
UNIQUE_TOGETHER = "expect_compound_columns_to_be_unique"

# What Great Expectations imports for charts and for expectations about distributions: a third of its own import.
RARELY_USED = ("altair", "scipy.stats")
_LOADING = Lock()

DEFAULT_MEMORY = "80%"  # DuckDB's limit where none is given
WHOLE_TABLE = "all"  # the name of the one batch of a table

README = "expectations/README.md"


@dataclass(frozen=True)
class _Table:
    """A table or view as the audit found it: its rows, or why they could not be counted."""

    rows: int
    problem: str | None = None


@dataclass(frozen=True)
class _Outcome:
    """What Great Expectations said about one expectation; `problem` where it could not evaluate it."""

    success: bool = False
    result: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Judgement:
    """One result row with its guidance; a structural one stands for no planned expectation."""

    result: QualityResult
    guidance: Guidance
    is_planned: bool = True
    is_evaluated: bool = False


def audit(
    database: Path,
    suites_folder: Path,
    *,
    tables: Mapping[str, str] | None = None,
    expected_tables: Iterable[str] | None = None,
    engine: Mapping[str, str] | None = None,
    processes: Literal[1, 2] = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> AuditReport:
    """Run the suites of `suites_folder` on the DuckDB file `database`, which is only read.

    `tables` maps suite names (`raw/crm/accounts`) to tables and says which suites to run; without it every suite
    of the folder runs on the table of its file's name. `expected_tables` must each exist and have a suite;
    without it (and without `tables`) these are all tables and views of the file. `engine` configures the DuckDB
    connections, as their memory limit. With two `processes` a fork of this one runs some of the suites, each with half
    of that limit; no other thread may compute then: see `forked`.

    A gate that refuses is a report, not an exception. Raises FileNotFoundError for a missing file and
    duckdb.Error for one that is no DuckDB file or is held by a writer.
    """
    before = sha256_of(database)
    found = _tables_of(database, dict(engine or {}))
    plan = dict(tables) if tables is not None else {n: n.rsplit("/", 1)[-1] for n in suite_names(suites_folder)}
    if expected_tables is None:
        expected_tables = [] if tables is not None else found
    suites, judgements = _read_suites(suites_folder, plan)
    judgements += _without_suite(suites_folder.name, set(expected_tables) - set(plan.values()), found)
    largest_first = sorted(
        (s for s in suites if s.planned and _unusable(s, found) is None), key=lambda suite: -found[suite.table].rows
    )
    rows = [found[suite.table].rows for suite in largest_first]
    outcomes = _evaluate(database, largest_first, rows, dict(engine or {}), processes, progress)
    for suite in suites:
        judgements += _judge_suite(suite, found, outcomes.get(suite.name, {}))
    after = sha256_of(database)
    if after != before:
        judgements.append(_changed_file(suites_folder.name, database, before, after))
    return _report(judgements, after)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tables_of(database: Path, engine: dict[str, str]) -> dict[str, _Table]:
    """Every table and view of schema main with its rows."""
    with duckdb.connect(str(database), read_only=True, config=engine) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'main' order by 1"
        ).fetchall()
        return {name: _counted(connection, name) for (name,) in names}


def _counted(connection: duckdb.DuckDBPyConnection, name: str) -> _Table:
    try:
        return _Table(connection.execute(f"select count(*) from {identifier(name)}").fetchone()[0])
    except duckdb.Error as error:
        return _Table(0, _without_values(str(error)))


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _read_suites(folder: Path, plan: Mapping[str, str]) -> tuple[list[Suite], list[_Judgement]]:
    suites, failures = [], []
    for name, table in sorted(plan.items()):
        path = suite_path(folder, name)
        try:
            suites.append(read_suite(path, name, table))
        except SuiteError as error:
            failures.append(_structural(name, "suite_is_readable", str(error), "a valid suite file", f"repair {path}"))
    return suites, failures


def _without_suite(prefix: str, missing: set[str], found: Mapping[str, _Table]) -> list[_Judgement]:
    return [
        _structural(
            f"{prefix}/{table}",
            "table_has_suite",
            f"no suite file for table {table}" + ("" if table in found else ", and no such table in the file"),
            "one suite for every table",
            f"add a suite for {table} as {README} describes",
        )
        for table in sorted(missing)
    ]


def _unusable(suite: Suite, found: Mapping[str, _Table]) -> str | None:
    """Why the suite cannot be run at all, or None."""
    if suite.table not in found:
        return f"table {suite.table} is absent"
    return found[suite.table].problem


def _divided(engine: dict[str, str], processes: int) -> dict[str, str]:
    """The configuration of each of several processes that share a memory limit."""
    if processes == 1:
        return engine
    number, unit = re.fullmatch(r"([\d.]+)(.*)", engine.get("memory_limit", DEFAULT_MEMORY)).groups()
    return {**engine, "memory_limit": f"{float(number) / processes}{unit}"}


def _evaluate(
    database: Path,
    suites: list[Suite],
    rows: list[int],
    engine: dict[str, str],
    processes: int,
    progress: Callable[[str], None],
) -> dict[str, dict[int, _Outcome]]:
    """Outcomes by suite name and position of the expectation in its file; a left-out result has no entry. `rows` are
    those of the suites' tables."""
    if not suites:
        return {}
    gx = load_great_expectations()
    processes = min(processes, len(suites))
    engine = _divided(engine, processes)

    def evaluate(numbers: Iterable[int], tell: Callable[[str], None]) -> dict[str, dict[int, _Outcome]]:
        outcomes = {}
        with _source(gx, database, suites, engine) as source:
            for number in numbers:
                suite = suites[number]
                tell(f"auditing {suite.table}: {rows[number]:,} rows ({number + 1} of {len(suites)} tables)")
                outcomes[suite.name] = _validate(gx, source, suite)
        return outcomes

    if processes == 1:
        return evaluate(range(len(suites)), progress)
    here, there = shared_with_fork(evaluate, len(suites), progress)
    return here | there


@contextmanager
def _source(gx: Any, database: Path, suites: Iterable[Suite], engine: dict[str, str]) -> Iterator[Any]:
    """The tables of the suites, added at once: Great Expectations saves its whole configuration for each one added."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_sql(
        name="audited",
        connection_string=f"duckdb:///{quote(str(database.resolve()))}",
        kwargs={
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "connect_args": {"read_only": True, "config": engine},
        },
        assets=[
            {"type": "table", "name": s.name, "table_name": s.table, "batch_definitions": [{"name": WHOLE_TABLE}]}
            for s in suites
        ],
    )
    try:
        yield source
    finally:
        # It holds two engines. A connection left open would keep the old snapshot of a file that is renamed later.
        source.get_execution_engine().close()
        source.get_engine().dispose()


def load_great_expectations() -> Any:
    """The package, imported where it is first needed: that takes seconds, for which another thread waits."""
    with _LOADING:
        return _great_expectations()


@cache
def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it is read once, while the package is imported
    with deferred(*RARELY_USED):
        import great_expectations

    # this one logger sets its own level to INFO
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    class CountOfUnexpectedRows(great_expectations.expectations.UnexpectedRowsExpectation):
        """The expectation of a query, which runs it once, to count: by itself it runs it twice, to show rows too."""

        metric_dependencies = ("unexpected_rows_query.row_count",)

        def _validate(self, metrics: dict, *given: Any, **named: Any) -> Any:
            return super()._validate({"unexpected_rows_query.table": [], **metrics}, *given, **named)

    return great_expectations


def _validate(gx: Any, source: Any, suite: Suite) -> dict[int, _Outcome]:
    configs = [
        {**_evaluated_as(planned), "meta": {**planned.config.get("meta", {}), "position": position}}
        for position, planned in enumerate(suite.planned)
    ]
    try:
        batch = source.get_asset(suite.name).get_batch_definition(WHOLE_TABLE)
        native = gx.ExpectationSuite(name=suite.name, expectations=configs)
        validation = batch.get_batch().validate(native, result_format=RESULT_FORMAT)
    except Exception as error:  # whatever it was, the suite did not run, and that is a finding of the gate
        problem = _Outcome(problem=f"{type(error).__name__}: {_without_values(str(error))}")
        return dict.fromkeys(range(len(suite.planned)), problem)
    return {r.expectation_config.meta["position"]: _outcome(r) for r in validation.results}


def _evaluated_as(planned: Planned) -> Mapping[str, Any]:
    """The expectation, or a count of unexpected rows where a query tells the same."""
    config = planned.config
    if config["type"] == SQL_EXPECTATION:
        return {**config, "type": COUNTED}
    if config["type"] == UNIQUE_TOGETHER and set(config["kwargs"]) == {"column_list"}:
        query = _repeated_rows(config["kwargs"]["column_list"])
        return {**config, "type": COUNTED, "kwargs": {"unexpected_rows_query": query}}
    return config


def _repeated_rows(columns: Iterable[str]) -> str:
    """Query of a row for each one that shares its whole key; as everywhere, rows without a part of it are left out.

    Rows whose keys have different hashes differ: only the others are grouped by the key itself, which takes longer.
    """
    names = [identifier(name) for name in columns]
    key, told = ", ".join(names), " and ".join(f"{name} is not null" for name in names)
    return f"""
        with keys as not materialized (select {key}, hash({key}) as hashed from {{batch}} where {told}),
        alike as (select hashed from keys group by hashed having count(*) > 1),
        groups as (select count(*) as n from keys where hashed in (from alike) group by {key} having count(*) > 1)
        select unnest(range(n)) from groups"""


def _outcome(validated: Any) -> _Outcome:
    raised = list(_raised(validated.exception_info or {}))
    if raised:
        return _Outcome(problem=_without_values(str(raised[0].get("exception_message"))))
    return _Outcome(bool(validated.success), dict(validated.result))


def _raised(info: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The raised exceptions in either shape of `exception_info`: one of its own, or one per failed metric."""
    nested = [value for value in info.values() if isinstance(value, Mapping)]
    return (entry for entry in [info, *nested] if entry.get("raised_exception"))


def _without_values(message: str) -> str:
    """The line of an error message that says what is wrong with the query; no line that may quote the data."""
    for line in message.splitlines():
        if any(mark in line for mark in ERRORS_WITHOUT_VALUES):
            return line.strip()[:300]
    return "it raised an error; run its query by hand to see which"


def _judge_suite(suite: Suite, found: Mapping[str, _Table], outcomes: Mapping[int, _Outcome]) -> list[_Judgement]:
    if not suite.planned:
        action = f"add expectations as {README} describes, or delete the file"
        return [_structural(suite.name, "suite_is_not_empty", "no expectations", "at least one", action)]
    unusable = _unusable(suite, found)
    if unusable:
        return [_not_evaluated(suite, planned, unusable) for planned in suite.planned]
    rows = found[suite.table].rows
    return [_judge(suite, planned, outcomes.get(i), rows) for i, planned in enumerate(suite.planned)]


def _judge(suite: Suite, planned: Planned, outcome: _Outcome | None, rows: int) -> _Judgement:
    if outcome is None:
        return _not_evaluated(suite, planned, "Great Expectations returned no result for it")
    if outcome.problem:
        return _not_evaluated(suite, planned, outcome.problem)
    result = outcome.result or {}
    evaluated_rows = int(result.get("element_count", rows))
    if evaluated_rows == 0 and not suite.allow_empty:
        return _not_evaluated(suite, planned, f"table {suite.table} has no rows")
    unexpected, observed = _counts(planned, outcome.success, result, evaluated_rows)
    row = QualityResult(
        suite.name, planned.expectation, planned.column_name, planned.severity,
        outcome.success, observed, evaluated_rows, unexpected,
    )  # fmt: skip
    return _Judgement(row, planned.guidance, is_evaluated=True)


def _counts(planned: Planned, success: bool, result: Mapping[str, Any], rows: int) -> tuple[int, str | None]:
    """Unexpected rows and what was observed, in words that hold no row's value."""
    if _evaluated_as(planned)["type"] == COUNTED:
        unexpected = int(result["observed_value"])
        return unexpected, f"{unexpected} unexpected, {rows} rows read"
    if "unexpected_count" in result:
        unexpected = int(result["unexpected_count"] or 0)  # None for a table without rows
        return unexpected, f"{unexpected} unexpected of {rows} rows"
    observed = result.get("observed_value")
    is_aggregate = isinstance(observed, int | float | Decimal | dt.date)
    return int(not success), str(observed) if is_aggregate else None


def _not_evaluated(suite: Suite, planned: Planned, reason: str) -> _Judgement:
    """A critical failure whatever the declared severity: nobody knows what the expectation would have said."""
    observed = f"not evaluated: {reason}"
    row = QualityResult(suite.name, planned.expectation, planned.column_name, "critical", False, observed, 0, 0)
    return _Judgement(row, planned.guidance)


def _structural(suite: str, check: str, found: str, expected: str, action: str) -> _Judgement:
    row = QualityResult(suite, check, None, "critical", False, found, 0, 0)
    return _Judgement(row, Guidance(expected, action), is_planned=False)


def _changed_file(prefix: str, database: Path, before: str, after: str) -> _Judgement:
    return _structural(
        prefix,
        "file_is_unchanged",
        f"{database.name} had SHA-256 {before} before the audit and {after} after it",
        "the same bytes before and after",
        "find the process that writes this file during the audit",
    )


def _report(judgements: list[_Judgement], sha256: str) -> AuditReport:
    ordered = sorted(judgements, key=lambda judgement: judgement.result.suite)  # stable: file order within a suite
    planned = [j for j in ordered if j.is_planned]
    critical = [j for j in planned if j.result.severity == "critical"]
    return AuditReport(
        results=tuple(j.result for j in ordered),
        planned=len(planned),
        evaluated=sum(j.is_evaluated for j in planned),
        planned_critical=len(critical),
        passed=sum(j.result.success for j in critical),
        audited_sha256=sha256,
        guidance={j.result.key: j.guidance for j in ordered},
    )
