"""The gate before dbt: the lake's deliveries as views of a scratch DuckDB file, audited by the raw suites.

The scratch file holds, beside one view `<system>__<extract>` per extract:
`<system>__<extract>__before`: of a snapshot extract, the delivery before the newest;
`deliveries`: the row accounting as given;
`volumes`: system, extract, extract_date, accepted_rows, age (0 newest delivery, 1 the one before), from the lake;
`targets`: the KPI targets in use;
`audit_date`: one row, as_of.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import duckdb

from dagster_project.quality.audit import audit, identifier
from dagster_project.quality.results import AuditReport, Guidance, QualityResult
from dagster_project.quality.suites import suite_path
from dagster_project.tables import create_table

ACCOUNTING_COLUMNS = {
    "system": "VARCHAR",
    "extract": "VARCHAR",
    "extract_date": "DATE",
    "file_name": "VARCHAR",
    "file_sha256": "VARCHAR",
    "delivered_rows": "BIGINT",
    "accepted_rows": "BIGINT",
    "quarantined_rows": "BIGINT",
    "superseded_rows": "BIGINT",
    "status": "VARCHAR",
}

TARGET_COLUMNS = {
    "metric_id": "VARCHAR",
    "grain": "VARCHAR",
    "segment_dimension": "VARCHAR",
    "segment_value": "VARCHAR",
    "valid_from": "DATE",
    "target": "DOUBLE",
    "warning_threshold": "DOUBLE",
    "owner": "VARCHAR",
    "reviewed_on": "DATE",
}

# The lake's zero-row file that gives every extract its columns.
EMPTY_DATE = dt.date(9999, 12, 31)

# The newest delivery of usage alone is audited: older ones were audited when they were the newest, and are large.
NEWEST_ONLY = ("usage/events",)


@dataclass(frozen=True)
class RawExtract:
    """One extract of the contracts in use.

    `columns` are the canonical columns and their DuckDB types: what the suites may name. One that the lake's
    files lack (an optional column the company does not deliver) is NULL in the view.
    """

    system: str
    extract: str
    mode: Literal["snapshot", "delta"]
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.system}/{self.extract}"

    @property
    def view(self) -> str:
        return f"{self.system}__{self.extract}"


def raw_audit(
    lake: Path,
    extracts: Iterable[RawExtract],
    as_of: dt.date,
    deliveries: Iterable[Mapping[str, Any]],
    suites_folder: Path,
    targets: Iterable[Mapping[str, Any]] = (),
    engine: Mapping[str, str] | None = None,
    processes: Literal[1, 2] = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> AuditReport:
    """Audit what dbt is about to read: deliveries up to `as_of`, of snapshots only the newest, and the targets.

    `deliveries` are rows of the accounting (keys of ACCOUNTING_COLUMNS), `targets` have the keys of TARGET_COLUMNS.
    An extract without a suite is a warning. `engine` and `processes` are those of `audit`.
    """
    extracts = sorted(extracts, key=lambda extract: extract.name)
    suites = {f"{suites_folder.name}/{e.name}": e.view for e in extracts}
    present = {name: view for name, view in suites.items() if suite_path(suites_folder, name).is_file()}
    tables = {**present, **{f"{suites_folder.name}/{name}": name for name in ("deliveries", "targets")}}
    with tempfile.TemporaryDirectory(prefix="keizoku-raw-") as folder:
        database = Path(folder) / "raw.duckdb"
        build_scratch(database, lake, extracts, as_of, deliveries, targets)
        report = audit(database, suites_folder, tables=tables, engine=engine, processes=processes, progress=progress)
    return _with_warnings(report, sorted(set(suites) - set(present)))


def build_scratch(
    database: Path,
    lake: Path,
    extracts: Sequence[RawExtract],
    as_of: dt.date,
    deliveries: Iterable[Mapping[str, Any]],
    targets: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Write the scratch file that the module's docstring describes."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table audit_date as select cast(? as date) as as_of", [as_of])
        create_table(connection, "deliveries", ACCOUNTING_COLUMNS, deliveries)
        create_table(connection, "targets", TARGET_COLUMNS, targets)
        connection.execute(
            "create table volumes "
            "(system VARCHAR, extract VARCHAR, extract_date DATE, accepted_rows BIGINT, age BIGINT)"
        )
        for extract in extracts:
            dates = delivered_dates(lake, extract, as_of)
            newest_only = extract.mode == "snapshot" or extract.name in NEWEST_ONLY
            _create_view(connection, extract.view, lake, extract, dates[:1] if newest_only else dates)
            if extract.mode == "snapshot":
                _create_view(connection, f"{extract.view}__before", lake, extract, dates[1:2])
            for age, date in enumerate(dates[:2]):
                _insert_volume(connection, lake, extract, date, age)


def delivered_dates(lake: Path, extract: RawExtract, as_of: dt.date) -> list[dt.date]:
    """Extract dates that lie in the lake, newest first, none after `as_of`."""
    folders = (lake / extract.system / extract.extract).glob("extract_date=*")
    dates = {dt.date.fromisoformat(f.name.partition("=")[2]) for f in folders if any(f.glob("*.parquet"))}
    return sorted((date for date in dates if date <= as_of and date != EMPTY_DATE), reverse=True)


def _create_view(
    connection: duckdb.DuckDBPyConnection, name: str, lake: Path, extract: RawExtract, dates: Sequence[dt.date]
) -> None:
    read = dates
    if not read and any(_folder(lake, extract, EMPTY_DATE).glob("*.parquet")):
        read = [EMPTY_DATE]
    source = _parquet(lake, extract, read) if read else "(select cast(null as date) as extract_date where false)"
    present = {name for name, *_ in connection.execute(f"describe select * from {source}").fetchall()}
    absent = [f"cast(null as {t}) as {identifier(n)}" for n, t in extract.columns.items() if n not in present]
    columns = ", ".join(["*", *absent])
    connection.execute(f"create view {identifier(name)} as select {columns} from {source}")


def _insert_volume(
    connection: duckdb.DuckDBPyConnection, lake: Path, extract: RawExtract, date: dt.date, age: int
) -> None:
    rows = connection.execute(f"select count(*) from {_parquet(lake, extract, [date])}").fetchone()[0]
    connection.execute("insert into volumes values (?, ?, ?, ?, ?)", [extract.system, extract.extract, date, rows, age])


def _folder(lake: Path, extract: RawExtract, date: dt.date) -> Path:
    return lake / extract.system / extract.extract / f"extract_date={date.isoformat()}"


def _parquet(lake: Path, extract: RawExtract, dates: Sequence[dt.date]) -> str:
    globs = ", ".join(_literal(str(_folder(lake, extract, date).resolve() / "*.parquet")) for date in dates)
    # By name: a column that a later contract added is NULL in the older deliveries.
    options = "union_by_name = true, hive_partitioning = true, hive_types = {'extract_date': DATE}"
    return f"read_parquet([{globs}], {options})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _with_warnings(report: AuditReport, without_suite: Sequence[str]) -> AuditReport:
    """The report and one warning per extract that no suite looks at."""
    rows = [QualityResult(n, "extract_has_suite", None, "warning", False, "no suite file", 0, 0) for n in without_suite]
    advice = Guidance("a suite for every extract", "add one as expectations/README.md describes")
    results = sorted([*report.results, *rows], key=lambda result: result.suite)
    guidance = {**report.guidance, **{row.key: advice for row in rows}}
    return replace(report, results=tuple(results), guidance=guidance)
