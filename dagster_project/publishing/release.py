"""Releases: verify an audited candidate, complete it, put it beside the others and swap the one pointer.

Nothing here trusts an earlier step: the audit must name the very bytes that are published, and every critical
expectation must have been planned, evaluated and passed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.files import write_whole
from dagster_project.publishing.candidate import QUALITY_COLUMNS, Candidate, append_quality
from dagster_project.publishing.statements import execute_side_by_side
from dagster_project.settings import ConfigurationError, QualityGateRefused, Settings

# A third less processor time than with DuckDB's defaults: no dictionary is kept of columns that have more values than
# one is good for, and Bloom filters would serve readers that look single values up.
PARQUET = "compression zstd, compression_level 1, dictionary_size_limit 1000, write_bloom_filter false"

ADDED_TO = "meta_quality_results"  # the one table that changes after the audit, by the audit's own results


@dataclass(frozen=True)
class Release:
    """A published release: its folder and what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def release_id(self) -> str:
        return self.manifest["release"]["release_id"]

    @property
    def database(self) -> Path:
        return self.folder / "kpi.duckdb"

    @property
    def report(self) -> Path:
        return self.folder / "report" / "index.html"


def record_audit(candidate: Candidate, outcome: Mapping[str, Any]) -> None:
    """Writes the audit's outcome beside the candidate: audited_sha256, planned, evaluated, planned_critical, passed
    and results (rows of meta_quality_results)."""
    write_whole(candidate.audit_file, json.dumps(outcome, indent=1, default=str), durably=True)


def export(settings: Settings, candidate: Candidate) -> None:
    """Writes the Parquet files of a candidate while it is audited; `publish` keeps them where the audit names the same
    bytes, and writes the table that it adds to."""
    exported = _sha256(candidate.database)
    _export_parquet(settings, candidate)
    write_whole(candidate.export_file, json.dumps({"exported_sha256": exported}), durably=True)


def publish(
    settings: Settings, candidate: Candidate, write_report: Callable[[Path, Path], Any] | None = None
) -> Release:
    """Turns an audited candidate into the served release.

    `write_report(database, folder)` writes the report of the release. Raises QualityGateRefused where the audit is
    missing, names other bytes, is incomplete or did not pass; the pointer then stays where it is. Restartable: what a
    killed run leaves is a folder that nothing points to.
    """
    with ThreadPoolExecutor(1) as beside:
        counting = beside.submit(_fingerprints, candidate.database)
        audit = _passed_audit(candidate)
        before = counting.result()
        append_quality(candidate.database, audit["results"])
        counting = beside.submit(_fingerprints, candidate.database)
        identity = _identity(candidate.database)
        is_exported = _exported_sha256(candidate) == audit["audited_sha256"]
        _export_parquet(settings, candidate, only=ADDED_TO if is_exported else None)
        candidate.export_file.unlink(missing_ok=True)
        if write_report is not None:
            write_report(candidate.database, candidate.folder / "report")
        _require_unchanged(before, counting.result())
    candidate.audit_file.unlink()
    manifest = {
        "release": identity,
        "audit": {key: audit[key] for key in ("audited_sha256", "planned", "evaluated", "planned_critical", "passed")},
        "tables": _row_counts(candidate.database),
        "files": {str(p.relative_to(candidate.folder)): _sha256(p) for p in _files(candidate.folder)},
    }
    write_whole(candidate.folder / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True), durably=True)
    for path in _files(candidate.folder):
        _sync(path)
    for folder in (candidate.folder, *(p for p in candidate.folder.rglob("*") if p.is_dir())):
        _sync(folder)
    folder = settings.releases / identity["release_id"]
    os.rename(candidate.folder, folder)
    _sync(settings.releases)
    point_to(settings, identity["release_id"])
    return Release(folder, manifest)


def releases(settings: Settings) -> list[Release]:
    """All complete releases, oldest first."""
    found = [
        Release(path.parent, json.loads(path.read_text())) for path in sorted(settings.releases.glob("*/manifest.json"))
    ]
    return [r for r in found if not r.folder.name.startswith(".")]


def served_release(settings: Settings) -> Release | None:
    """The release the pointer names, or None before the first one."""
    if not settings.published.is_symlink():
        return None
    folder = settings.home / os.readlink(settings.published)
    return Release(folder, json.loads((folder / "manifest.json").read_text()))


def rollback(settings: Settings, release_id: str) -> Release:
    """Points to an earlier (or later) release again, after checking that its files are the published ones.

    Raises ConfigurationError for an unknown release or one whose files were changed or removed.
    """
    known = {r.release_id: r for r in releases(settings)}
    if release_id not in known:
        raise ConfigurationError(
            f"{settings.releases}: found no release {release_id!r}; expected one of {sorted(known) or 'none yet'}"
        )
    release = known[release_id]
    for name, expected in release.manifest["files"].items():
        path = release.folder / name
        found = _sha256(path) if path.is_file() else "no file"
        if found != expected:
            raise ConfigurationError(
                f"{path}: found SHA-256 {found}, expected {expected}; the release is damaged and was not pointed to"
            )
    point_to(settings, release_id)
    return release


def point_to(settings: Settings, release_id: str) -> None:
    """Swaps the one pointer atomically: readers see the old release or the new one, never neither."""
    staged = settings.home / ".published.next"
    staged.unlink(missing_ok=True)
    staged.symlink_to(Path(settings.releases.name) / release_id)
    os.replace(staged, settings.published)
    _sync(settings.home)


def _passed_audit(candidate: Candidate) -> dict[str, Any]:
    if not candidate.audit_file.is_file():
        raise QualityGateRefused(f"{candidate.audit_file}: the candidate was not audited; audit it before publishing")
    audit = json.loads(candidate.audit_file.read_text())
    found = _sha256(candidate.database)
    if audit["audited_sha256"] != found:
        raise QualityGateRefused(
            f"{candidate.database}: found SHA-256 {found}, but the audit names {audit['audited_sha256']}; "
            "audit this very file"
        )
    complete = 0 < audit["planned"] == audit["evaluated"] and 0 < audit["planned_critical"] == audit["passed"]
    failed = [r for r in audit["results"] if r["severity"] == "critical" and not r["success"]]
    if failed or not complete:
        names = ", ".join(f"{r['suite']}: {r['expectation']}" for r in failed) or "none by name"
        raise QualityGateRefused(
            f"{candidate.database}: planned {audit['planned']}, evaluated {audit['evaluated']}, critical "
            f"{audit['planned_critical']}, passed {audit['passed']}; failed: {names}"
        )
    return audit


def _fingerprints(database: Path) -> dict[str, tuple]:
    """Per table but meta_quality_results: rows and an order-free checksum of their content."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            name: connection.execute(f"select count(*), bit_xor(hash(t)) from {name} t").fetchone()
            for name in _table_names(connection)
            if name != ADDED_TO
        }


def _require_unchanged(before: Mapping[str, tuple], after: Mapping[str, tuple]) -> None:
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise QualityGateRefused(f"tables changed after the audit: {', '.join(changed)}; nothing was published")


def _identity(database: Path) -> dict[str, Any]:
    with duckdb.connect(str(database), read_only=True) as connection:
        cursor = connection.execute("select * from meta_release")
        row = cursor.fetchone()
        return {d[0]: None if v is None else str(v) for d, v in zip(cursor.description, row, strict=True)}


def _row_counts(database: Path) -> dict[str, int]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in _table_names(connection)
        }


def _exported_sha256(candidate: Candidate) -> str | None:
    if not candidate.export_file.is_file():
        return None
    return json.loads(candidate.export_file.read_text())["exported_sha256"]


def _export_parquet(settings: Settings, candidate: Candidate, only: str | None = None) -> None:
    folder = candidate.parquet
    if only is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    with duckdb.connect(config=settings.engine) as connection:
        connection.execute(f"attach '{candidate.database}' as candidate (read_only)")
        orders = {ADDED_TO: f" order by {', '.join(QUALITY_COLUMNS)}"}
        execute_side_by_side(
            connection,
            [
                f"copy (from candidate.main.{name}{orders.get(name, '')}) to '{folder}/{name}.parquet' ({PARQUET})"
                for name in ([only] if only else _table_names(connection))
            ],
        )


def _table_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("select table_name from duckdb_tables() order by table_name")
    return [name for (name,) in rows.fetchall()]


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
