"""The candidate: allow-listed tables copied out of the warehouse into one file of their own, for the audit to read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.checkpoint import checkpoint, only_when_told, written_early
from dagster_project.publishing.allow_list import PublishedTable
from dagster_project.publishing.restatements import find_restatements
from dagster_project.publishing.statements import execute_side_by_side
from dagster_project.settings import Settings
from dagster_project.tables import create_table, insert_rows

# BI tools bundle older DuckDB versions: files of the newest format would be closed to them.
STORAGE_VERSION = "v1.0.0"

ACCOUNTING_COLUMNS = {
    "system": "varchar",
    "extract": "varchar",
    "extract_date": "date",
    "file_name": "varchar",
    "file_sha256": "varchar",
    "delivered_rows": "bigint",
    "accepted_rows": "bigint",
    "quarantined_rows": "bigint",
    "superseded_rows": "bigint",
    "status": "varchar",
}
QUALITY_COLUMNS = {
    "suite": "varchar",
    "expectation": "varchar",
    "column_name": "varchar",
    "severity": "varchar",
    "success": "boolean",
    "observed_value": "varchar",
    "evaluated_rows": "bigint",
    "unexpected_count": "bigint",
}


@dataclass(frozen=True)
class ReleaseIdentity:
    """The one row of meta_release: what was computed from what, and when."""

    release_id: str
    created_at: datetime  # wall clock in the reporting time zone
    as_of_date: date
    logical_date: date
    git_sha: str | None
    input_hash: str
    contracts_hash: str
    expectations_hash: str
    settings_hash: str
    previous_release_id: str | None


RELEASE_COLUMNS = {
    field.name: {"created_at": "timestamp", "as_of_date": "date", "logical_date": "date"}.get(field.name, "varchar")
    for field in fields(ReleaseIdentity)
}


@dataclass(frozen=True)
class Candidate:
    """A folder below releases/ that is not served: `kpi.duckdb`, `audit.json` once it was audited, and `parquet/` with
    `export.json`, which tells of which bytes it is, once it was exported."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "kpi.duckdb"

    @property
    def audit_file(self) -> Path:
        return self.folder / "audit.json"

    @property
    def export_file(self) -> Path:
        return self.folder / "export.json"

    @property
    def parquet(self) -> Path:
        return self.folder / "parquet"


def candidate_of(settings: Settings) -> Candidate:
    """The one candidate of a KEIZOKU_HOME; a refused one stays there to be looked at until the next run."""
    return Candidate(settings.releases / ".candidate")


def build_candidate(
    settings: Settings,
    tables: Sequence[PublishedTable],
    identity: ReleaseIdentity,
    accounting: Iterable[Mapping[str, Any]],
    quality: Iterable[Mapping[str, Any]],
) -> Candidate:
    """Copies the marts and writes the meta tables; replaces an earlier candidate.

    `accounting` and `quality` are rows of meta_row_accounting and meta_quality_results. Rows are ordered by key, so
    that the same input gives the same file content.
    """
    candidate = candidate_of(settings)
    shutil.rmtree(candidate.folder, ignore_errors=True)
    candidate.folder.mkdir(parents=True)
    previous = identity.previous_release_id
    with written_early(candidate.database), duckdb.connect(config=settings.engine) as connection:
        warehouse = settings.warehouse.stem  # its name while the models were built: views name what they read by it
        connection.execute(f"attach '{settings.warehouse}' as {warehouse} (read_only)")
        connection.execute("set checkpoint_threshold = '1 TB'")  # there is one, when the tables are complete
        only_when_told(connection)
        connection.execute(
            f"attach '{candidate.database}' as candidate "
            # a run that is killed leaves nothing of use: no need to write everything twice
            f"(storage_version '{STORAGE_VERSION}', recovery_mode 'no_wal_writes')"
        )
        declared = _declared_columns(connection, warehouse)
        execute_side_by_side(
            connection,
            [
                f"create table candidate.main.{table.name} "
                f"({', '.join(declared[table.name, column] for column in table.columns)}); "
                f"insert into candidate.main.{table.name} "
                f"select {', '.join(table.columns)} from {warehouse}.main.{table.name} order by {', '.join(table.key)}"
                for table in tables
            ],
        )
        create_table(connection, "candidate.main.meta_release", RELEASE_COLUMNS, [vars(identity)])
        create_table(connection, "candidate.main.meta_row_accounting", ACCOUNTING_COLUMNS, accounting)
        create_table(connection, "candidate.main.meta_quality_results", QUALITY_COLUMNS, quality)
        with connection.cursor() as session, ThreadPoolExecutor(1) as beside:
            # a checkpoint leaves a processor idle
            writing = beside.submit(checkpoint, session, "candidate", candidate.database)
            try:
                find_restatements(
                    connection,
                    tables,
                    identity.release_id,
                    identity.as_of_date,
                    settings.releases / previous / "kpi.duckdb" if previous else None,
                )
            finally:
                # nothing may be written while it starts; its error is the one to tell, as it may break the other
                writing.result()
        connection.execute("create table candidate.main.meta_restatements as from restatements")
        checkpoint(connection, "candidate", candidate.database)
        connection.execute("detach candidate")
    return candidate


def _declared_columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], str]:
    """The columns of a database by table and name, as SQL declares them. Texts repeat, as most are segments: DuckDB
    need not try all of its compressions on them, which takes a sixth of the processor time of writing."""
    rows = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = 'main'",
        [database],
    )
    return {
        (table, name): f"{name} {kind}{' using compression dictionary' if kind == 'VARCHAR' else ''}"
        for table, name, kind in rows.fetchall()
    }


def append_quality(database: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds the audit's own results to meta_quality_results."""
    with duckdb.connect(str(database)) as connection:
        insert_rows(connection, "meta_quality_results", QUALITY_COLUMNS, rows)
        connection.execute("checkpoint")
