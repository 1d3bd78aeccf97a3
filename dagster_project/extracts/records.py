"""What ingest tells about a delivery: accounting rows, findings, and the record kept beside the lake files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

Status = Literal[
    "accepted", "zero_bytes", "header_only", "explicitly_empty", "missing", "refused", "withdrawn"
]  # fmt: skip


class UnbalancedRows(Exception):
    """Rows read and rows accounted for differ: a defect of the reader, never of the data."""


@dataclass(frozen=True)
class AccountingRow:
    """Fate of the rows of one delivered file; `file_name` and `file_sha256` are empty for a missing date.

    Of a refused delivery nothing is taken in, so that its rows are not counted.
    """

    system: str
    extract: str
    extract_date: dt.date
    file_name: str
    file_sha256: str
    delivered_rows: int
    accepted_rows: int
    quarantined_rows: int
    superseded_rows: int
    status: Status

    def __post_init__(self) -> None:
        if self.accepted_rows + self.quarantined_rows + self.superseded_rows != self.delivered_rows:
            raise UnbalancedRows(f"accepted + quarantined + superseded is not delivered in {self}")


@dataclass(frozen=True)
class Finding:
    """One row for meta_quality_results."""

    suite: str
    expectation: str
    column_name: str | None
    severity: Literal["critical", "warning"]
    success: bool
    observed_value: str
    evaluated_rows: int
    unexpected_count: int


@dataclass(frozen=True)
class FileIdentity:
    """A delivered file; size and mtime_ns only spare hashing a file that was not touched."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class DeliveryRecord:
    """What became of one delivery, kept as `_delivery.json` in its lake partition.

    `reading` names everything beside the files that shapes the result (contract, time zone, reader version);
    `earlier_rows` is the volume of the accepted delivery before this one where that was looked at; `days` are good
    rows by the day in their key, where it has one.
    """

    extract: str
    extract_date: dt.date
    reading: str
    time_zone: str
    files: tuple[FileIdentity, ...]
    rows: tuple[AccountingRow, ...]
    findings: tuple[Finding, ...] = ()
    refusal: str | None = None
    earlier_rows: int | None = None
    compared: bool = False
    days: tuple[tuple[dt.date, int], ...] = ()

    @property
    def delivered_rows(self) -> int:
        return sum(row.delivered_rows for row in self.rows)

    @property
    def accepted_rows(self) -> int:
        return sum(row.accepted_rows for row in self.rows)

    @property
    def is_withdrawn(self) -> bool:
        return all(row.status == "withdrawn" for row in self.rows)

    @property
    def is_accepted(self) -> bool:
        return self.refusal is None and not self.is_withdrawn

    def to_json(self) -> str:
        return _RECORD.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> DeliveryRecord:
        """Raises ValueError for a text that is no record."""
        try:
            return _RECORD.validate_json(text, strict=True, extra="forbid")
        except UnbalancedRows as error:
            raise ValueError(str(error)) from error


_RECORD = TypeAdapter(DeliveryRecord)


@dataclass(frozen=True)
class IngestReport:
    """State of everything delivered up to the as-of date, whatever this run had to read for it.

    `refusals` are the messages of refused deliveries that no later accepted one makes irrelevant; with any of
    them the caller must not publish.
    """

    deliveries: list[AccountingRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    read: int = 0


def summed_findings(per_delivery: Iterable[tuple[dt.date, Finding]]) -> list[Finding]:
    """One finding per suite, expectation, column and severity; counts are summed, the first message is kept."""
    groups: dict[tuple[str, str, str, str], list[tuple[dt.date, Finding]]] = {}
    for day, finding in per_delivery:
        key = (finding.suite, finding.expectation, finding.column_name or "", finding.severity)
        groups.setdefault(key, []).append((day, finding))
    return [_summed(groups[key]) for key in sorted(groups)]


def _summed(group: list[tuple[dt.date, Finding]]) -> Finding:
    day, first = min(group, key=lambda one: (one[0], one[1].observed_value))
    more = "" if len(group) == 1 else f" (and {len(group) - 1:,} more findings)"
    return replace(
        first,
        observed_value=f"{day}: {first.observed_value}{more}",
        evaluated_rows=sum(one.evaluated_rows for _, one in group),
        unexpected_count=sum(one.unexpected_count for _, one in group),
    )
