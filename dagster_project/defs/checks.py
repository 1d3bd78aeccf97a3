"""The two gates as asset checks: one per expectation of the suites, one audit per gate."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dagster as dg

from dagster_project import nightly
from dagster_project.defs.ingest import DELIVERIES
from dagster_project.defs.publish import CANDIDATE
from dagster_project.defs.resources import NightResource
from dagster_project.extracts.contract import load_contracts
from dagster_project.progress import paced
from dagster_project.quality.results import AuditReport, Guidance, QualityResult
from dagster_project.quality.suites import SQL_EXPECTATION, Planned, Suite, read_suite, suite_names, suite_path
from dagster_project.settings import EXPECTATIONS, load_settings

TARGETS = "raw/targets"

Audit = Callable[[nightly.Night, nightly.Progress], AuditReport]


def raw_suites(extracts: Iterable[str]) -> list[Suite]:
    """The suites of the extracts in force, of all deliveries and of the targets. Raises SuiteError for an unusable
    file."""
    wanted = {"raw/deliveries", TARGETS, *(f"raw/{extract}" for extract in extracts)}
    return [suite for suite in _suites("raw") if suite.name in wanted]


def published_suites() -> list[Suite]:
    """The suites of the published tables. Raises SuiteError for an unusable file."""
    return _suites("published")


def _suites(folder: str) -> list[Suite]:
    names = suite_names(EXPECTATIONS / folder)
    return [read_suite(suite_path(EXPECTATIONS / folder, name), name, name.rsplit("/", 1)[-1]) for name in names]


def check_name(planned: Planned, table: str = "") -> str:
    """A name that stays as long as the expectation does: table, its own short name, and the column without one."""
    kind, _, short = planned.expectation.partition(":")
    words = [table, short] if kind == SQL_EXPECTATION else [table, kind, short, planned.column_name]
    return re.sub(r"\W+", "_", "__".join(word.removeprefix("expect_") for word in words if word))


def raw_specs(suites: Iterable[Suite]) -> dict[tuple, dg.AssetCheckSpec]:
    """Checks on the raw assets by the key of their result; a suite is named as its asset is, but the targets are a
    file of settings and no asset of their own."""
    return {
        (suite.name, planned.expectation, planned.column_name): (
            _spec(suite, planned, check_name(planned, "targets"), DELIVERIES)
            if suite.name == TARGETS
            else _spec(suite, planned, check_name(planned), dg.AssetKey(suite.name.split("/")))
        )
        for suite in suites
        for planned in suite.planned
    }


def published_specs(suites: Iterable[Suite]) -> dict[tuple, dg.AssetCheckSpec]:
    """Checks on the candidate by the key of their result."""
    return {
        (suite.name, planned.expectation, planned.column_name): _spec(
            suite, planned, check_name(planned, suite.table), CANDIDATE
        )
        for suite in suites
        for planned in suite.planned
    }


def _spec(suite: Suite, planned: Planned, name: str, asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=asset,
        description=planned.guidance.expected,
        blocking=planned.severity == "critical",
        metadata={"suite": suite.name, "expectation": planned.expectation, "severity": planned.severity},
    )


def gate(name: str, specs: dict[tuple, dg.AssetCheckSpec], audit: Audit) -> dg.AssetChecksDefinition:
    """One audit that gives the results of all its checks. A run that asked for all of them fails with its refusal,
    which also covers what no single check stands for, such as a table without a suite."""

    @dg.multi_asset_check(name=name, specs=list(specs.values()), can_subset=True)
    def run_gate(context: dg.AssetCheckExecutionContext, night: NightResource) -> Iterator[dg.AssetCheckResult]:
        with paced(context.log.info) as progress:
            report = audit(night.night(), progress)
        selected = context.selected_asset_check_keys
        for result in report.results:
            spec = specs.get(result.key)
            if spec is None:
                context.log.warning(f"{result.suite}: {result.expectation}: {result.observed_value}")
            elif spec.key in selected:
                yield _check_result(spec, result, report.guidance[result.key])
        if len(selected) == len(specs):
            nightly.require_accepted(report)

    return run_gate


def _check_result(spec: dg.AssetCheckSpec, result: QualityResult, guidance: Guidance) -> dg.AssetCheckResult:
    is_critical = result.severity == "critical"
    return dg.AssetCheckResult(
        passed=result.success,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=dg.AssetCheckSeverity.ERROR if is_critical else dg.AssetCheckSeverity.WARN,
        description=None if result.success else f"found {result.observed_value}; {guidance.action}",
        metadata=_metadata(result),
    )


def _metadata(result: QualityResult) -> dict[str, Any]:
    """Counts and names; an observed value is a count or an aggregate, never the value of a row."""
    known = {
        "suite": result.suite,
        "expectation": result.expectation,
        "column": result.column_name,
        "severity": result.severity,
        "evaluated_rows": result.evaluated_rows,
        "unexpected_count": result.unexpected_count,
        "observed_value": result.observed_value,
    }
    return {name: value for name, value in known.items() if value is not None}


@dg.definitions
def defs() -> dg.Definitions:
    raw = raw_specs(raw_suites(load_contracts(load_settings().contracts_folder)))
    published = published_specs(published_suites())
    return dg.Definitions(
        asset_checks=[
            gate("raw_gate", raw, nightly.raw_report),
            gate("publish_gate", published, nightly.candidate_report),
        ]
    )
