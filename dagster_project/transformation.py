"""Running dbt in this process: lake in, marts in the warehouse out.

Knows dbt's programmatic interface and nothing of deliveries, audits or releases. One invocation at a time: the
warehouse has one writer, and dbt keeps it open until `_released` lets it go.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from threading import RLock
from typing import Any

import duckdb

from dagster_project.checkpoint import checkpoint, written_early
from dagster_project.compiled_jinja import compiled_by, compiled_for, read_compiled, write_compiled
from dagster_project.interpreter import beside_duckdb
from dagster_project.settings import DBT_PROJECT, BusinessSettings, QualityGateRefused, Settings
from dagster_project.targets import load_targets, write_targets
from dagster_project.usage_build import UsageBuild, UsageDelivery, changed_days, read_build, read_until, write_index

COMPLETE = ("success", "pass", "warn")
# Data tests that no data breaks; unit tests neither. Both try the models, and belong to the test suite.
NOT_NIGHTLY = "config.meta.guards:models"
HEARD = ("LogStartLine", "JinjaLogInfo")  # the names of dbt's events that are progress
REFUSED = re.compile(r"refused: (?P<why>[^\n]+)")
# A quarter of DuckDB's own: rows that fill no group are written down by the checkpoint, which uses one processor, and
# of the tables of a night most have few rows.
NIGHTLY_ROW_GROUP_SIZE = 30_720


class TransformationFailed(Exception):
    """A model did not build, for a reason that is not the data's."""


@dataclass(frozen=True)
class NodeResult:
    """One model, seed or test that dbt ran."""

    unique_id: str
    name: str
    resource_type: str  # model, seed, test or unit_test
    status: str  # success, pass, warn, error, fail or skipped
    message: str
    seconds: float
    failures: int  # rows a test returned


@dataclass(frozen=True)
class Inputs:
    """What a build reads: the deliveries of usage and of snapshots (fingerprints by extract and date) up to the as-of
    date, and one fingerprint of these and everything else."""

    usage: Sequence[UsageDelivery]
    snapshots: Mapping[str, Mapping[date, str]]
    fingerprint: str


def build(
    settings: Settings,
    business: BusinessSettings,
    as_of: date,
    *,
    inputs: Inputs | None = None,
    in_place_changes: str = "restate",
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> list[NodeResult]:
    """Builds every model as of a date and tests the data; returns one result per node, in the order they ran.

    Of usage and snapshots only what changed since the last complete build is read and computed anew; the whole lake
    is with `full_refresh`, or where the `inputs` are not told. Failures are results: `require_success` judges them.
    Raises ConfigurationError for targets that are none, TransformationFailed where dbt could not start or the warehouse
    could not be written down, OSError where there is no room for that.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    variables = {
        **business.model_dump(),
        "as_of": as_of.isoformat(),
        "lake": str(settings.lake),
        "warehouse": str(settings.warehouse),
        "subscriptions_in_place_changes": in_place_changes,
        "threads": settings.processors,
        "memory_limit": settings.memory_limit or "80%",
        **_targets_variable(settings),
    }
    manifest = prepared_manifest(settings)
    this = _build_of(manifest, business, as_of, inputs, in_place_changes) if inputs else None
    last = None if full_refresh else _last_build(settings)
    _usage_build(settings).unlink(missing_ok=True)  # an incomplete build is not built upon
    if this:
        last = last if last and last.made_by == this.made_by else None
        write_index(_usage_index(settings), this, changed_days(last, this) if last else None)
        variables["usage_index"] = str(_usage_index(settings))
        variables["newest_deliveries"] = {n: max(days).isoformat() for n, days in this.snapshots.items() if days}
        if last:
            variables["row_group_size"] = NIGHTLY_ROW_GROUP_SIZE
            variables["snapshots_read_until"] = {n: day.isoformat() for n, day in read_until(last, this).items()}
    options = ["--exclude-resource-type", "unit_test", "--exclude", NOT_NIGHTLY]
    if not (this and last):
        options.append("--full-refresh")
    results = run_dbt("build", dbt_target(settings), variables, progress, options, manifest)
    if this and all(r.status in COMPLETE for r in results):
        this.write(_usage_build(settings))
    return results


def is_current(
    settings: Settings, business: BusinessSettings, as_of: date, inputs: Inputs, *, in_place_changes: str = "restate"
) -> bool:
    """Whether the last build was complete, and of the same inputs, models and settings."""
    this = _build_of(prepared_manifest(settings), business, as_of, inputs, in_place_changes)
    return _last_build(settings) == this


def is_built(settings: Settings) -> bool:
    """Whether the last build was complete, whatever it was of."""
    return _last_build(settings) is not None


def _build_of(
    manifest: Path, business: BusinessSettings, as_of: date, inputs: Inputs, in_place_changes: str
) -> UsageBuild:
    project, _ = manifest.stem.split("-")
    made_by = hashlib.sha256(f"{project} {in_place_changes} {business.model_dump_json()}".encode()).hexdigest()
    return UsageBuild(made_by, inputs.fingerprint, as_of, tuple(inputs.usage), inputs.snapshots)


def _last_build(settings: Settings) -> UsageBuild | None:
    return read_build(_usage_build(settings)) if settings.warehouse.is_file() else None


def _usage_build(settings: Settings) -> Path:
    """What the warehouse's usage was computed from, where its last build is complete."""
    return settings.warehouse.with_name("usage_build.json")


def _usage_index(settings: Settings) -> Path:
    return settings.warehouse.with_name("usage_index.parquet")


def require_success(results: list[NodeResult]) -> None:
    """Raises QualityGateRefused where a test failed or a model refused the data, TransformationFailed where a model
    could not be built for another reason."""
    refusals = [m["why"] for r in results if r.status == "error" and (m := REFUSED.search(r.message))]
    if refusals:
        raise QualityGateRefused("\n".join(dict.fromkeys(refusals)))
    broken = [f"{r.unique_id}: {r.message.strip()}" for r in results if r.status == "error"]
    if broken:
        raise TransformationFailed("\n".join(broken))
    failed = [f"{r.unique_id}: {r.failures} failing rows" for r in results if r.status == "fail"]
    if failed:
        raise QualityGateRefused("dbt tests failed:\n" + "\n".join(failed))


def row_counts(settings: Settings, tables: Iterable[str]) -> dict[str, int]:
    """Rows of those of `tables` that the warehouse holds."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        known = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        return {
            name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables if name in known
        }


def _targets_variable(settings: Settings) -> dict[str, str]:
    """The var naming the targets that replace the seed, as validated; without KEIZOKU_TARGETS the seed serves."""
    targets = load_targets(settings)
    if settings.targets is None:
        return {}
    return {"targets": str(write_targets(targets, settings.warehouse.parent / "kpi_targets.csv"))}


def dbt_target(settings: Settings) -> Path:
    """Where dbt writes its manifest, compiled SQL and logs."""
    return settings.home / "warehouse" / "dbt"


def run_dbt(
    command: str,
    target: Path,
    variables: dict[str, Any],
    progress: Callable[[str], None] = lambda line: None,
    options: Sequence[str] = (),
    manifest: Path | None = None,
) -> list[NodeResult]:
    """Invokes dbt in this process on the project of this repository, with telemetry off; `options` are the command's.

    With a prepared `manifest` the project is not parsed again: nothing that parsing looks at depends on `variables`.
    Raises TransformationFailed where dbt could not start (a parse error, a locked warehouse) or the warehouse could not
    be written down, and OSError where there is no room for that.
    """
    arguments = [
        # the target by name: DBT_TARGET may be set, for mf
        *(command, "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT, "--target", "duckdb"),
        *("--target-path", target, "--log-path", target, "--log-level", "none", "--log-level-file", "none"),
        *("--vars", json.dumps(variables)),
        *options,
        *(["--no-write-json"] if manifest else []),  # artefacts about what is known already
    ]
    with _ONE_AT_A_TIME, beside_duckdb():
        runner, _ = load_dbt()
        parsed = (_preloaded.pop(manifest, None) or _read_manifest(manifest)) if manifest else None
        compiled = read_compiled(_compiled(manifest)) if manifest else {}
        early = written_early(Path(variables["warehouse"])) if "warehouse" in variables else nullcontext()
        with early, _released(), _only_heard(), compiled_by(compiled):
            outcome = runner(manifest=parsed, callbacks=[_progress_of(progress)]).invoke([str(a) for a in arguments])
            _checkpoint(outcome.success, progress)
    if outcome.exception is not None:
        raise TransformationFailed(f"dbt {command} did not run: {outcome.exception}")
    return [_node_result(r) for r in getattr(outcome.result, "results", [])]


def load_dbt() -> tuple[Any, Any]:
    """dbt's runner and the reader of its manifests, imported where they are first needed: that takes seconds."""
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"  # read by dbt while it is imported
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    return dbtRunner, Manifest


_ONE_AT_A_TIME = RLock()  # dbt keeps its settings in the process: two that parse would write one file
_preloaded: dict[Path, Any] = {}


def preload(manifest: Path) -> None:
    """Imports dbt and reads the manifest for the next run of the models, and lets dbt make what it makes once."""
    _preloaded.clear()
    _preloaded[manifest] = _read_manifest(manifest)
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.contracts.project import Configuration, PackageConfig, Project, ProjectFlags

    inspect.stack()  # dbt asks from where it is called, and the first who asks looks through all modules
    for configuration in (Configuration, DuckDBCredentials, PackageConfig, Project, ProjectFlags):
        configuration.json_schema()  # half a second, in which nothing else could be done when it is validated by it


def _read_manifest(manifest: Path) -> Any:
    _, reader = load_dbt()
    parsed = reader.from_msgpack(_parsed(manifest).read_bytes())
    parsed.build_flat_graph()
    return parsed


def _compile(manifest: Path, compiled: Path) -> None:
    parsed = _read_manifest(manifest)
    sources = {macro.macro_sql for macro in parsed.macros.values()}
    write_compiled(compiled, sources | {node.raw_code for node in parsed.nodes.values()})


def prepared_manifest(settings: Settings) -> Path:
    """dbt's manifest of the project as its files are now; parses and compiles it where anything changed since the last
    time.

    One serves all homes of a checkout; where the checkout is read-only, each home has its own. It is named by the
    content of the project and its place, which it mentions, and moved into place, so that processes that prepare it at
    the same time, or while models are built, never see half of one. Raises TransformationFailed where the project does
    not parse.
    """
    place = hashlib.sha256(str(DBT_PROJECT).encode()).hexdigest()[:8]
    manifest = _manifests(settings) / f"{_project_hash()}-{place}.json"
    with _ONE_AT_A_TIME:
        prepared = {manifest, _parsed(manifest), _compiled(manifest)}
        if not all(path.is_file() for path in prepared):
            manifest.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=manifest.parent) as folder:
                run_dbt("parse", Path(folder), {})
                os.replace(Path(folder) / "partial_parse.msgpack", _parsed(manifest))
                _compile(manifest, Path(folder) / "compiled")
                os.replace(Path(folder) / "compiled", _compiled(manifest))
                os.replace(Path(folder) / "manifest.json", manifest)
            for path in manifest.parent.glob("*.*"):
                if not path.name.startswith(manifest.stem):  # another Python may use the same manifest
                    path.unlink(missing_ok=True)
    return manifest


def _manifests(settings: Settings) -> Path:
    of_checkout = DBT_PROJECT / "target" / "manifests"
    nearest = next(path for path in (of_checkout, *of_checkout.parents) if path.exists())
    return of_checkout if os.access(nearest, os.W_OK) else dbt_target(settings) / "manifests"


def _parsed(manifest: Path) -> Path:
    """The same manifest in the form that dbt itself reads."""
    return manifest.with_suffix(".msgpack")


def _compiled(manifest: Path) -> Path:
    """The code of all its macros and models."""
    return manifest.with_name(compiled_for(manifest.stem))


def _project_hash() -> str:
    folders = [DBT_PROJECT / name for name in ("macros", "models", "seeds", "tests")]
    files = [*DBT_PROJECT.glob("*.yml"), *(path for folder in folders for path in folder.rglob("*") if path.is_file())]
    # DuckDB's too: another version may give rows that are kept other numbers (`number_of`)
    digest = hashlib.sha256(f"{version('dbt-core')} {version('duckdb')}".encode())
    for path in sorted(files):
        digest.update(f"{path.relative_to(DBT_PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _released():
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
    try:
        yield
    finally:
        DuckDBConnectionManager.close_all_connections()


def _checkpoint(is_complete: bool, progress: Callable[[str], None]) -> None:
    """Writes down what was built; what is not complete is only to be looked at, and where that fails, its own errors
    are the ones to raise."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    manager = DuckDBConnectionManager  # not what it holds: an error that is kept would keep the warehouse open
    if not (manager._ENV and manager._ENV.conn):  # there is none where dbt had no need of the warehouse
        return
    attached = manager._ENV.creds.attach[0]
    try:
        checkpoint(manager._ENV.conn, attached.alias, Path(attached.path))
    except (OSError, duckdb.Error) as error:
        if not is_complete:
            progress(f"what was built could not be written down: {error}")
        elif isinstance(error, OSError):
            raise
        else:
            raise TransformationFailed(f"what was built could not be written down: {error}") from None


@contextmanager
def _only_heard():
    """While it lasts, dbt makes messages only of the events that `_progress_of` listens to: it has thousands of others,
    and even where nothing is logged the messages take an eighth of what it does beside DuckDB."""
    from dbt_common.events import event_manager_client as client
    from dbt_common.events.event_manager import EventManager

    class OnlyHeard(EventManager):
        def fire_event(self, e: Any, level: Any = None, node: Any = None, force_warn_or_error_handling: bool = False):
            if force_warn_or_error_handling or type(e).__name__ in HEARD:
                super().fire_event(e, level, node, force_warn_or_error_handling)

    usual = client.get_event_manager()
    client.ctx_set_event_manager(OnlyHeard())
    try:
        yield
    finally:
        client.ctx_set_event_manager(usual)


def _node_result(result: Any) -> NodeResult:
    node = result.node
    return NodeResult(
        node.unique_id,
        node.name,
        str(node.resource_type),
        str(result.status),
        result.message or "",
        round(result.execution_time, 3),
        result.failures or 0,
    )


def _progress_of(progress: Callable[[str], None]) -> Callable[[Any], None]:
    def listen(event: Any) -> None:
        if event.info.name == "LogStartLine":
            info = event.data
            doing = "testing" if info.node_info.resource_type == "test" else "building"
            progress(f"{doing} {info.node_info.node_name} ({info.index} of {info.total})")
        elif event.info.name == "JinjaLogInfo":  # a macro telling how far a long model is
            progress(event.data.msg)

    return listen
