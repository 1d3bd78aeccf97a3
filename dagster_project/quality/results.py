"""What an audit found: one row per expectation, the report around them, and the words for a refusal.

Nothing here carries a value of a row: only counts, shares and aggregates of numbers and dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class QualityResult:
    """One row of `meta_quality_results`.

    `evaluated_rows` are the rows of the audited table, `unexpected_count` the rows that broke the expectation
    (for an aggregate such as a row count: 0 or 1).
    """

    suite: str
    expectation: str
    column_name: str | None
    severity: str
    success: bool
    observed_value: str | None
    evaluated_rows: int
    unexpected_count: int

    @property
    def key(self) -> tuple[str, str, str | None]:
        return self.suite, self.expectation, self.column_name


@dataclass(frozen=True)
class Guidance:
    """What an expectation wants, and what to do where it is not met."""

    expected: str
    action: str


@dataclass(frozen=True)
class AuditReport:
    """The outcome of one audit of one file.

    `planned` counts the expectations of the suite files, `evaluated` those that were really evaluated;
    `planned_critical` and `passed` count the critical ones. `results` are in a stable order: by suite,
    within it as in the file. `guidance` is keyed by `QualityResult.key`.
    """

    results: tuple[QualityResult, ...]
    planned: int
    evaluated: int
    planned_critical: int
    passed: int
    audited_sha256: str
    guidance: Mapping[tuple[str, str, str | None], Guidance]

    @property
    def failed_critical(self) -> tuple[QualityResult, ...]:
        return tuple(r for r in self.results if r.severity == "critical" and not r.success)

    @property
    def warnings(self) -> tuple[QualityResult, ...]:
        return tuple(r for r in self.results if r.severity == "warning" and not r.success)

    @property
    def is_accepted(self) -> bool:
        """Everything planned was evaluated, there was something planned, and every critical one passed."""
        complete = self.planned == self.evaluated and self.planned_critical == self.passed > 0
        return complete and not self.failed_critical


def render_failures(report: AuditReport) -> str:
    """The failed critical expectations in words, one paragraph each; empty where there are none."""
    failures = report.failed_critical
    if not failures:
        return ""
    head = (
        f"The quality gate refused the data: {len(failures)} critical failure(s); "
        f"{report.planned} expectations planned, {report.evaluated} evaluated."
    )
    return "\n\n".join([head, *(_paragraph(failure, report.guidance) for failure in failures)])


def _paragraph(failure: QualityResult, guidance: Mapping[tuple[str, str, str | None], Guidance]) -> str:
    advice = guidance[failure.key]
    column = f", column {failure.column_name}" if failure.column_name else ""
    return "\n".join(
        [
            f"{failure.suite}: {failure.expectation}{column}",
            f"  found:    {failure.observed_value}",
            f"  expected: {advice.expected}",
            f"  to do:    {advice.action}",
        ]
    )
