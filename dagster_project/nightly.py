"""The night, stage by stage: ingest, raw gate, transform, candidate, publish gate, release.

Each stage is a function of the settings alone, leaves its result on disk, and reads the whole result of the one
before; the command line runs them in order, and the Dagster assets run the same functions one by one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from dagster_project import transformation
from dagster_project.extracts import contract as contracts_module
from dagster_project.extracts import ingest as ingest_module
from dagster_project.files import write_whole
from dagster_project.interpreter import beside_duckdb
from dagster_project.progress import WARNING
from dagster_project.publishing import allow_list, candidate, release
from dagster_project.quality import raw as raw_gate
from dagster_project.quality.audit import audit
from dagster_project.quality.process import AUDITS
from dagster_project.quality.results import AuditReport, render_failures
from dagster_project.settings import (
    EXPECTATIONS,
    PROJECT_ROOT,
    BusinessSettings,
    ConfigurationError,
    DiskFull,
    LockHeld,
    QualityGateRefused,
    Settings,
    load_business_settings,
)
from dagster_project.targets import load_targets
from dagster_project.timings import Timings
from dagster_project.usage_build import UsageDelivery

Progress = Callable[[str], None]

# What the system says through Python, DuckDB and dbt alike, and DuckDB of what exceeds its memory.
NO_ROOM = re.compile("No space left on device|File too large|Disk quota exceeded|failed to offload data block")
WRITTEN_FILE = re.compile(r'write file \\?"(?P<path>[^"\\]+)')
# The threads beside ingest and raw gate; they may outlast a night that is refused.
PREPARING = "preparing"


def silent(line: str) -> None:
    """The progress listener that listens to nothing."""


@dataclass(frozen=True)
class Night:
    """What the stages of one run share: the settings, and the dates the run stands for."""

    settings: Settings
    given_as_of: date | None = None
    full_refresh: bool = False  # build all usage from the lake, whatever the last build left

    @cached_property
    def business(self) -> BusinessSettings:
        return load_business_settings(self.settings)

    @cached_property
    def contracts(self) -> dict[str, contracts_module.Contract]:
        return contracts_module.load_contracts(self.settings.contracts_folder)

    @property
    def as_of(self) -> date:
        """The given as-of date, or the older of the newest accepted extract dates of accounts and subscriptions."""
        return self.given_as_of or ingest_module.default_as_of(self.settings, self.contracts)

    @property
    def now(self) -> datetime:
        return datetime.now(ZoneInfo(self.business.reporting_time_zone)).replace(tzinfo=None)


@contextmanager
def _full_disk_told(settings: Settings) -> Iterator[None]:
    """Raises DiskFull where the system had no room, whichever library it told so."""
    try:
        yield
    except (OSError, duckdb.Error, transformation.TransformationFailed) as error:
        if not (said := NO_ROOM.search(str(error))):
            raise
        named = WRITTEN_FILE.search(str(error))
        place = named["path"] if named else getattr(error, "filename", None) or settings.home
        disk = shutil.disk_usage(settings.home)
        raise DiskFull(
            f"{place}: {said[0]}; {disk.free / 1e6:,.0f} of {disk.total / 1e6:,.0f} MB are free on the disk of "
            f"{settings.home}; nothing was published; make room and run again"
        ) from None


def run_night(night: Night, progress: Progress = silent) -> release.Release:
    """All stages in order, under the lock of KEIZOKU_HOME; returns the release that is served now.

    Raises LockHeld, ConfigurationError (bad settings, contracts or layout), QualityGateRefused or DiskFull (the
    previous release is still served), TransformationFailed or ChildProcessError (the audits' process was killed).
    """
    timings = Timings(night.settings.warehouse.with_name("timings.json"), AUDITS.cpu_s)
    timings.begin()
    with _full_disk_told(night.settings), locked(night.settings), beside_duckdb():
        AUDITS.start()
        preparing = _started(_prepare, night)
        with timings.stage("ingest"):
            ingest(night, progress)
        preparing = _started(_load, night, preparing)
        with timings.stage("raw_audit"):
            audit_raw(night, progress)
        with timings.stage("transform"):
            preparing.join()
            transform(night, progress)
        with timings.stage("candidate"):
            build_candidate(night, progress)
        with timings.stage("audit"), ThreadPoolExecutor(1) as beside:
            exporting = beside.submit(release.export, night.settings, candidate.candidate_of(night.settings))
            audit_candidate(night, progress)
            exporting.result()
        with timings.stage("publish"):
            return publish(night, progress)


def _started(function: Callable[..., None], *given: Any) -> Thread:
    thread = Thread(target=function, args=given, name=PREPARING, daemon=True)
    thread.start()
    return thread


def _prepare(night: Night) -> None:
    """Parses the models while deliveries are read, and loads them where there is no build yet: one is to come then.

    Errors are left to the stage that meets them again.
    """
    with suppress(Exception), beside_duckdb():
        manifest = transformation.prepared_manifest(night.settings)
        if not transformation.is_built(night.settings):
            transformation.preload(manifest)


def _load(night: Night, preparing: Thread) -> None:
    """Loads the models while the deliveries are audited, where these are not those of the last build."""
    preparing.join()
    with suppress(Exception), beside_duckdb():
        if not _is_done(night, "the transformation") and transformation.is_built(night.settings):
            transformation.preload(transformation.prepared_manifest(night.settings))


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Holds the one lock of a KEIZOKU_HOME; the system frees it when the process ends, however it ends."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(f"{settings.home}: another run holds the lock; wait for it to end") from None
        yield


def ingest(night: Night, progress: Progress = silent) -> ingest_module.IngestReport:
    """Landing to lake and quarantine. Raises QualityGateRefused for a refused delivery that matters."""
    report = read_deliveries(night, progress)
    require_taken_in(report.refusals)
    return report


def read_deliveries(
    night: Night, progress: Progress = silent, only: set[tuple[str, date]] | None = None
) -> ingest_module.IngestReport:
    """Reads what is new, or of it `only` the (extract, extract date) pairs given; refusals are part of the report."""
    progress("reading new deliveries")
    report = ingest_module.ingest(
        night.settings, night.contracts, night.business, as_of=night.given_as_of, only=only, progress=progress
    )
    _keep(_findings_file(night.settings), report.findings)
    return report


def require_taken_in(refusals: list[str]) -> None:
    """Raises QualityGateRefused with the messages of refused deliveries, where there are any."""
    if refusals:
        raise QualityGateRefused("\n".join(["deliveries were refused:", *refusals]))


def audit_raw(night: Night, progress: Progress = silent) -> AuditReport:
    """The raw gate on what the transformation is about to read. Raises QualityGateRefused."""
    report = raw_report(night, progress)
    require_accepted(report)
    return report


def raw_report(night: Night, progress: Progress = silent) -> AuditReport:
    """The outcome of the raw gate, kept for the candidate; the caller refuses.

    Raises ConfigurationError for targets that are none, or an as-of date before the first delivery.
    """
    _require_snapshots(night)
    progress("auditing the raw extracts")
    extracts = [raw_gate.RawExtract(c.system, c.name, c.mode, c.schema_types) for c in night.contracts.values()]
    report = AUDITS.run(
        raw_gate.raw_audit,
        night.settings.lake,
        extracts,
        night.as_of,
        accounting(night),
        EXPECTATIONS / "raw",
        targets=[asdict(target) for target in load_targets(night.settings)],
        engine=night.settings.engine,
        processes=_audit_processes(night),
        progress=progress,
    )
    for result in report.results:
        if result.severity == "warning" and not result.success:
            told = f"expected {report.guidance[result.key].expected}; found {result.observed_value}"
            progress(f"{WARNING}{result.suite}: {told}")
    _keep(_raw_audit_file(night.settings), report.results)
    _set_done(night, "the raw gate", report.is_accepted)
    return report


def _require_snapshots(night: Night) -> None:
    """Raises ConfigurationError where the as-of date lies before the first delivery of a required extract."""
    accepted = {f"{row['system']}/{row['extract']}" for row in accounting(night) if row["status"] == "accepted"}
    for name, contract in night.contracts.items():
        if not contract.optional and name not in accepted:
            raise ConfigurationError(
                f"as-of date {night.as_of}: {name} has no accepted delivery up to that day; "
                "give a later as-of date, or deliver the extract for an earlier one"
            )


def accounting(night: Night) -> list[dict[str, Any]]:
    """Rows of meta_row_accounting: every delivery up to the as-of date."""
    return [{**vars(row)} for row in ingest_module.read_accounting(night.settings, night.contracts, night.as_of)]


def transform(night: Night, progress: Progress = silent) -> list[transformation.NodeResult]:
    """Lake to marts, where anything changed that they come from. Raises QualityGateRefused or TransformationFailed."""
    if _is_done(night, "the transformation") and not night.full_refresh and _models_are_current(night):
        progress("the models are up to date: nothing changed that they are built from")
        return []
    results = build_models(night, progress)
    transformation.require_success(results)
    return results


def _models_are_current(night: Night) -> bool:
    mode = night.contracts["crm/subscriptions"].in_place_changes
    return transformation.is_current(night.settings, night.business, night.as_of, _inputs(night), in_place_changes=mode)


def _inputs(night: Night) -> transformation.Inputs:
    usage = ingest_module.usage_deliveries(night.settings, night.contracts, night.as_of)
    return transformation.Inputs(
        [UsageDelivery(*delivery) for delivery in usage],
        ingest_module.snapshot_deliveries(night.settings, night.contracts, night.as_of),
        _hash(f"{ingest_module.READER_VERSION} {_input_state(night)} {load_targets(night.settings)}"),
    )


def build_models(night: Night, progress: Progress = silent) -> list[transformation.NodeResult]:
    """Every model and its tests, failures included; the caller judges them.

    Raises QualityGateRefused where the raw gate did not accept what would be read, TransformationFailed where dbt
    could not start.
    """
    _require_done(night, "the raw gate")
    _set_done(night, "the transformation", False)
    progress("building the models")
    results = transformation.build(
        night.settings,
        night.business,
        night.as_of,
        inputs=_inputs(night),
        in_place_changes=night.contracts["crm/subscriptions"].in_place_changes,
        full_refresh=night.full_refresh,
        progress=progress,
    )
    _set_done(night, "the transformation", all(r.status in transformation.COMPLETE for r in results))
    return results


def build_candidate(night: Night, progress: Progress = silent) -> candidate.Candidate:
    """Marts to the candidate file, with the meta tables.

    Raises QualityGateRefused where the marts are not of a complete transformation of today's deliveries.
    """
    _require_done(night, "the transformation")
    tables = allow_list.published_tables(transformation.prepared_manifest(night.settings))
    progress(f"building the candidate: {len(tables)} tables")
    rows = accounting(night)
    return candidate.build_candidate(night.settings, tables, _identity(night, rows), rows, _quality_so_far(night))


def audit_candidate(night: Night, progress: Progress = silent) -> AuditReport:
    """The publish gate on the candidate file. Raises QualityGateRefused; the candidate stays to be looked at."""
    report = candidate_report(night, progress)
    require_accepted(report)
    return report


def candidate_report(night: Night, progress: Progress = silent) -> AuditReport:
    """The outcome of the publish gate, recorded beside the candidate; the caller refuses, and so does `publish`."""
    progress("auditing the candidate")
    found = candidate.candidate_of(night.settings)
    report = AUDITS.run(
        audit,
        found.database,
        EXPECTATIONS / "published",
        engine=night.settings.engine,
        processes=_audit_processes(night),
        progress=progress,
    )
    release.record_audit(
        found,
        {
            **{name: getattr(report, name) for name in ("audited_sha256", "planned", "evaluated", "planned_critical")},
            "passed": report.passed,
            "results": [asdict(row) for row in report.results],
        },
    )
    return report


def _audit_processes(night: Night) -> int:
    return min(night.settings.processors, 2)


def publish(night: Night, progress: Progress = silent) -> release.Release:
    """Candidate to release, and the pointer to it. Raises QualityGateRefused."""
    from dagster_project.report.html import write_report

    progress("publishing")
    return release.publish(night.settings, candidate.candidate_of(night.settings), write_report)


def served_from_warehouse(settings: Settings) -> release.Release:
    """The served release, where the warehouse still holds the transformation of its input.

    Raises ConfigurationError where there is no release, or the warehouse holds another input: another date's, or that
    of a night that was refused or rolled back.
    """
    served = release.served_release(settings)
    if served is None:
        raise ConfigurationError(f"{settings.published}: found no release; `keizoku nightly` makes one")
    row = served.manifest["release"]
    expected = f"{row['as_of_date']} {row['input_hash']} {row['contracts_hash']}"
    mark = _mark(settings, "the transformation")
    found = mark.read_text() if mark.is_file() else "nothing complete"
    if found != expected or not settings.warehouse.is_file():
        raise ConfigurationError(
            f"{settings.warehouse}: expected the input of the served release {served.release_id}, as of"
            f" {row['as_of_date']}; found {found.split()[0] if mark.is_file() else found}"
            f"{' with other deliveries' if found.split()[0] == row['as_of_date'] else ''};"
            " `keizoku nightly` (with --as-of for a past date) builds and serves both anew"
        )
    return served


def require_accepted(report: AuditReport) -> None:
    """Raises QualityGateRefused, naming every failed critical expectation, where the audit did not pass."""
    if not report.is_accepted:
        raise QualityGateRefused(render_failures(report))


def _set_done(night: Night, stage: str, is_done: bool) -> None:
    """Notes of which input a stage holds, so that the next one, perhaps in another run, can tell."""
    mark = _mark(night.settings, stage)
    mark.unlink(missing_ok=True)
    if is_done:
        write_whole(mark, _input_state(night))


def _require_done(night: Night, stage: str) -> None:
    if not _is_done(night, stage):
        raise QualityGateRefused(
            f"{_mark(night.settings, stage)}: {stage} has not passed for the deliveries up to {night.as_of}; "
            "run it before what follows it"
        )


def _is_done(night: Night, stage: str) -> bool:
    mark = _mark(night.settings, stage)
    return mark.is_file() and mark.read_text() == _input_state(night)


def _mark(settings: Settings, stage: str) -> Path:
    return settings.home / "warehouse" / f"{stage.removeprefix('the ').replace(' ', '_')}.passed"


def _input_state(night: Night) -> str:
    return f"{night.as_of} {_input_hash(accounting(night))} {contracts_module.contracts_hash(night.contracts)}"


def _keep(path: Path, rows: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps([asdict(row) for row in rows], indent=1))


def _findings_file(settings: Settings) -> Path:
    return settings.home / "warehouse" / "ingest_findings.json"


def _raw_audit_file(settings: Settings) -> Path:
    return settings.home / "warehouse" / "raw_audit.json"


def _quality_so_far(night: Night) -> list[dict[str, Any]]:
    """Rows of meta_quality_results that stand before the candidate's own audit: ingest and raw gate.

    dbt's tests have no rows there: a candidate only exists where all of them passed.
    """
    kept = [json.loads(path(night.settings).read_text()) for path in (_findings_file, _raw_audit_file)]
    return list(chain.from_iterable(kept))


def _input_hash(rows: list[dict[str, Any]]) -> str:
    """One hash for the files that accounting rows name."""
    keys = ("system", "extract", "extract_date", "file_name", "file_sha256")
    return _hash(json.dumps([[str(row[k]) for k in keys] for row in rows]))


def _identity(night: Night, rows: list[dict[str, Any]]) -> candidate.ReleaseIdentity:
    now = night.now
    input_hash = _input_hash(rows)
    served = release.served_release(night.settings)
    utc = datetime.now(ZoneInfo("UTC"))
    return candidate.ReleaseIdentity(
        release_id=f"{utc:%Y%m%dT%H%M%S}Z-{input_hash[:8]}",
        created_at=now,
        as_of_date=night.as_of,
        logical_date=night.given_as_of or now.date(),
        git_sha=_git_sha(),
        input_hash=input_hash,
        contracts_hash=contracts_module.contracts_hash(night.contracts),
        expectations_hash=_hash("".join(p.read_text() for p in sorted(EXPECTATIONS.rglob("*.json")))),
        settings_hash=_hash(f"{night.business.model_dump_json()} {load_targets(night.settings)}"),
        previous_release_id=served.release_id if served else None,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _git_sha() -> str | None:
    """The commit of this checkout; None outside one."""
    command = ["git", "-C", str(PROJECT_ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
