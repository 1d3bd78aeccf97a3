"""Running dbt in this process: lake in, marts in the warehouse out.

Knows dbt's programmatic interface and nothing of files, audits or releases. One invocation at a time: the warehouse
has one writer, and dbt keeps it open until `_released` lets it go.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.settings import DBT_PROJECT, BusinessSettings, QualityGateRefused, Settings
from dagster_project.targets import load_targets, write_targets

REFUSED = re.compile(r"refused: (?P<why>[^\n]+)")


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


def transform(
    settings: Settings,
    business: BusinessSettings,
    as_of: date,
    *,
    in_place_changes: str = "restate",
    progress: Callable[[str], None] = lambda line: None,
) -> list[NodeResult]:
    """Builds and tests every model as of a date; returns one result per node, in the order they ran.

    Raises ConfigurationError for targets that are none, QualityGateRefused where a test failed or a model refused the
    data, TransformationFailed where a model could not be built for another reason.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    variables = {
        **business.model_dump(),
        "as_of": as_of.isoformat(),
        "lake": str(settings.lake),
        "warehouse": str(settings.warehouse),
        "subscriptions_in_place_changes": in_place_changes,
        "threads": settings.threads or os.cpu_count(),
        "memory_limit": settings.memory_limit or "80%",
        **_targets_variable(settings),
    }
    results = run_dbt("build", dbt_target(settings), variables, progress)
    _raise_for(results)
    return results


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
    command: str, target: Path, variables: dict[str, Any], progress: Callable[[str], None] = lambda line: None
) -> list[NodeResult]:
    """Invokes dbt in this process on the project of this repository, with telemetry off.

    Raises TransformationFailed where dbt could not start (a parse error, a locked warehouse).
    """
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"  # read by dbt while it is imported
    from dbt.cli.main import dbtRunner

    arguments = [
        *(command, "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT),
        *("--target-path", target, "--log-path", target, "--log-level", "none", "--log-level-file", "none"),
        *("--vars", json.dumps(variables)),
    ]
    with _released():
        outcome = dbtRunner(callbacks=[_progress_of(progress)]).invoke([str(a) for a in arguments])
    if outcome.exception is not None:
        raise TransformationFailed(f"dbt {command} did not run: {outcome.exception}")
    return [_node_result(r) for r in getattr(outcome.result, "results", [])]


def write_manifest(target: Path) -> Path:
    """Parses the project (if anything changed) and returns the path of dbt's manifest."""
    run_dbt("parse", target, {})
    return target / "manifest.json"


@contextmanager
def _released():
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
    try:
        yield
    finally:
        DuckDBConnectionManager.close_all_connections()


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
        if event.info.name in ("LogModelResult", "LogSeedResult"):
            info = event.data
            progress(f"{info.node_info.node_name} ({info.index} of {info.total})")

    return listen


def _raise_for(results: list[NodeResult]) -> None:
    refusals = [m["why"] for r in results if r.status == "error" and (m := REFUSED.search(r.message))]
    if refusals:
        raise QualityGateRefused("\n".join(dict.fromkeys(refusals)))
    broken = [f"{r.unique_id}: {r.message.strip()}" for r in results if r.status == "error"]
    if broken:
        raise TransformationFailed("\n".join(broken))
    failed = [f"{r.unique_id}: {r.failures} failing rows" for r in results if r.status == "fail"]
    if failed:
        raise QualityGateRefused("dbt tests failed:\n" + "\n".join(failed))
