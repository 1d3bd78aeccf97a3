"""One delivery: read, judged, and written as a lake partition and a quarantine partition."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from dagster_project.extracts import keys, lake, manifest, reader, rows
from dagster_project.extracts.contract import Contract
from dagster_project.extracts.conversion import Zones
from dagster_project.extracts.keys import Dropped
from dagster_project.extracts.landing import MANIFEST, Delivery
from dagster_project.extracts.records import AccountingRow, DeliveryRecord, FileIdentity, Finding, Status
from dagster_project.extracts.scan import DeliveryRefused
from dagster_project.extracts.sql import identifier, literal
from dagster_project.settings import Settings

_Counted = Mapping[str, tuple[int, int]]  # rows and bad rows by file name
_Days = tuple[tuple[dt.date, int], ...]


class Stamp(NamedTuple):
    """What the system changes about a file whenever it is written to or replaced."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Task:
    """A delivery to read: its contract, its files' identities, what was there before, and how to read it.

    `files` is empty until they are hashed; `stamps` tell whether anything wrote to them since.
    """

    delivery: Delivery
    contract: Contract
    files: tuple[FileIdentity, ...]
    stamps: tuple[Stamp, ...]
    previous: DeliveryRecord | None
    earlier_rows: int | None
    zones: Zones
    reading: str

    @property
    def sha256(self) -> dict[str, str]:
        return {one.name: one.sha256 for one in self.files}


@dataclass
class _Counts:
    """Rows of one file."""

    delivered: int = 0
    bad: int = 0
    conflicting: int = 0
    superseded: int = 0
    unfiltered: int = 0

    @property
    def quarantined(self) -> int:
        return self.bad + self.conflicting

    @property
    def accepted(self) -> int:
        return self.delivered - self.quarantined - self.superseded


def read_delivery(con: duckdb.DuckDBPyConnection, settings: Settings, task: Task) -> DeliveryRecord:
    """Replace the partitions of a delivery by what its files say now, and return its record.

    A refused delivery leaves a lake partition with its record and no rows; rows refused before that was decided
    are kept in quarantine. The quarantine is changed first: until the lake partition with the new record is in
    place, the next run does both again.
    """
    target = lake.partition(settings.lake, task.delivery.extract, task.delivery.extract_date)
    written = lake.fresh(target)
    refused_target = lake.partition(settings.quarantine, task.delivery.extract, task.delivery.extract_date)
    with scratch(settings, task.delivery) as work:
        judge = Judge(con, task, work)
        record = judge.record(judge.read)
    if record.is_accepted:
        write_accepted(con, task, written / lake.PART)
    lake.write_record(written, record)
    _replace_quarantine(con, refused_target, judge.has_refused)
    lake.swap_in(written, target)
    return record


class Judge:
    """Reads the files of one delivery, or takes what was read of them, and finds what becomes of it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, task: Task, work: Path) -> None:
        self._con, self._task, self._work = con, task, work
        self._contract = task.contract
        self._counts: dict[str, _Counts] = {path.name: _Counts() for path in task.delivery.files}
        self._statuses: dict[str, Status] = {}
        self._findings: list[Finding] = []
        self._days: _Days = ()
        self.has_refused = False

    def record(self, read: Callable[[], None]) -> DeliveryRecord:
        """What became of the delivery once it was `read`."""
        task = self._task
        refusal = None
        if task.delivery.files or task.delivery.manifest:
            try:
                read()
                self._check_limits()
            except DeliveryRefused as error:
                refusal = f"{task.delivery.extract} {task.delivery.extract_date}: delivery refused: {error}"
                self._find("delivery_accepted", None, refusal, 1, 1, severity="critical")
        return DeliveryRecord(
            extract=task.delivery.extract,
            extract_date=task.delivery.extract_date,
            reading=task.reading,
            time_zone=task.zones.reporting,
            files=task.files,
            rows=tuple(self._accounting(refusal is not None)),
            findings=tuple(self._findings),
            refusal=refusal,
            earlier_rows=task.earlier_rows,
            compared=self._is_compared(),
            days=() if refusal else self._days,
        )

    # reading

    def take(
        self, sources: Sequence[reader.SourceFile], counted: _Counted, days: _Days, dropped: list[Dropped]
    ) -> None:
        """The outcome of reading files of which every row is good and every line a record."""
        for source in sources:
            self._has_columns(source)
            self._match(source)
        self._take_counts(counted, days, dropped)
        self._set_statuses(list(sources), None)

    def read(self) -> None:
        try:
            self._read()
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException, duckdb.ConversionException) as error:
            # the rest of such a message quotes the data
            names = ", ".join(path.name for path in self._task.delivery.files)
            said = str(error).splitlines()[0][:80]
            raise DeliveryRefused(f"{names}: cannot be read ({said}); deliver it again in a readable form") from None

    def _read(self) -> None:
        declared = self._manifest()
        sources = [
            reader.open_source(self._con, path, self._contract, self._work, index)
            for index, path in enumerate(self._task.delivery.files)
        ]
        filled = [source for source in sources if self._has_columns(source)]
        for source in filled:
            self._match(source)
            self._add(source, is_first=source is filled[0])
        if not filled:
            rows.create_typed(self._con, self._contract)
        counted = {name: counts for (_, name), counts in keys.count_rows(self._con).items()}
        days = tuple((day, rows) for _, day, rows in keys.count_days(self._con, self._contract))
        self._take_counts(counted, days, keys.drop_repeated_keys(self._con, self._contract))
        self._explain(filled)
        self._set_statuses(sources, declared)
        if declared is not None:
            manifest.verify_rows(declared, {source.name: self._counts[source.name].unfiltered for source in sources})

    def _manifest(self) -> dict[str, manifest.Declared] | None:
        path = self._task.delivery.manifest
        if path is None:
            if self._contract.manifest == "required":
                raise DeliveryRefused(f"{MANIFEST} is missing; the contract requires one; deliver it with the files")
            return None
        declared = manifest.read_manifest(path)
        manifest.verify_files(declared, {name: self._task.sha256[name] for name in self._counts})
        return declared

    def _has_columns(self, source: reader.SourceFile) -> bool:
        if not source.ends_with_newline:
            self._find("last_line_is_complete", None, f"{source.name}: the last line has no line end", 1, 1)
        return bool(source.columns) or bool(source.broken) or (not source.is_empty and self._rows_in(source) > 0)

    def _rows_in(self, source: reader.SourceFile) -> int:
        return self._con.execute(f"select count(*) from {source.relation}", list(source.parameters)).fetchone()[0]

    def _match(self, source: reader.SourceFile) -> None:
        found = rows.match_columns(self._contract, source)
        for one in found.missing:
            text = f"{source.name}: column {one.delivered} is missing; {one.reads} is NULL"
            self._find("column_is_delivered", one.reads, text, 1, 1)
        if found.undeclared:
            text = f"{source.name}: undeclared columns {', '.join(found.undeclared)} are kept in _extra"
            self._find("columns_are_declared", None, text, len(source.columns), len(found.undeclared))

    def _add(self, source: reader.SourceFile, *, is_first: bool) -> None:
        try:
            rows.add_file(self._con, self._contract, source, self._task.zones, is_first=is_first)
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.SerializationException) as error:
            reason = str(error).splitlines()[0].replace(f"{self._work}/", "")
            raise DeliveryRefused(
                f"{source.name}: cannot be read to its end ({reason}); deliver it again in full"
            ) from None

    def _take_counts(self, counted: _Counted, days: _Days, dropped: list[Dropped]) -> None:
        for name, (total, bad) in counted.items():
            self._counts[name] = _Counts(delivered=total, bad=bad, unfiltered=total)
        self._days = days
        for one in dropped:
            if one.fate == "conflict":
                self._counts[one.file_name].conflicting += one.rows
            else:
                self._counts[one.file_name].superseded += one.rows
        superseded = [one for one in dropped if one.fate == "superseded"]
        replaced = sum(one.rows for one in superseded if one.differs)
        repeated = sum(one.rows for one in superseded if not one.differs)
        total = sum(one.delivered for one in self._counts.values())
        key = ", ".join(self._contract.key)
        if repeated:
            self._find("rows_are_not_repeated", None, f"{repeated:,} identical rows per {key}", total, repeated)
        if replaced:
            self._find("key_is_unique", None, f"{replaced:,} rows replaced by a newer one per {key}", total, replaced)

    def _explain(self, sources: list[reader.SourceFile]) -> None:
        self.has_refused = any(one.quarantined for one in self._counts.values()) or any(one.broken for one in sources)
        if self.has_refused:
            rows.create_refused(self._con)
        for source in sources:
            counts = self._counts[source.name]
            if counts.bad:
                rows.explain_bad_rows(self._con, self._contract, source, self._task.zones)
            if counts.conflicting:
                rows.explain_dropped(self._con, self._contract, source)
            rows.add_broken_lines(self._con, source)
            if self._contract.where and self._task.delivery.manifest:
                counts.unfiltered = self._rows_in(source)
            counts.delivered += len(source.broken)
            counts.unfiltered += len(source.broken)
            counts.bad += len(source.broken)
        if self.has_refused:
            self._find_refused_rows()

    def _find_refused_rows(self) -> None:
        total = sum(one.delivered for one in self._counts.values())
        for column, reason, count, message in self._con.execute(
            """select column_name, reason, count(*), arg_min(_file || ' row ' || _row || ': ' || message, (_file, _row))
               from refused group by 1, 2 order by 1 nulls first, 2"""
        ).fetchall():
            self._find(f"rows_meet_contract_{reason}", column, f"{count:,} rows; first {message}", total, count)

    def _set_statuses(self, sources: list[reader.SourceFile], declared: dict[str, manifest.Declared] | None) -> None:
        for source in sources:
            if declared is not None and declared[source.name].rows == 0:
                status = "explicitly_empty"
            elif source.is_empty:
                status = "zero_bytes"
            elif self._counts[source.name].delivered == 0 and not self._contract.where:
                status = "header_only"
            else:
                status = "accepted"
            self._statuses[source.name] = status
        if not sources:
            self._counts[MANIFEST] = _Counts()
            self._statuses[MANIFEST] = "explicitly_empty"

    # judging

    def _check_limits(self) -> None:
        limits, earlier = self._contract.limits, self._task.earlier_rows
        delivered = sum(one.delivered for one in self._counts.values())
        quarantined = sum(one.quarantined for one in self._counts.values())
        accepted = sum(one.accepted for one in self._counts.values())
        if delivered >= limits.from_rows and quarantined > limits.max_quarantined_share * delivered:
            raise DeliveryRefused(
                f"{quarantined:,} of {delivered:,} rows do not meet the contract, more than the share "
                f"{limits.max_quarantined_share:g} it allows; see the quarantine for the reasons"
            )
        if self._contract.mode == "snapshot" and accepted == 0:
            self._refuse_emptying()
        if earlier is None or max(earlier, delivered) < limits.from_rows:
            return
        for share, is_out, word in (
            (limits.min_rows_share, lambda bound: accepted < bound, "fewer"),
            (limits.max_rows_share, lambda bound: accepted > bound, "more"),
        ):
            if share is not None and is_out(share * earlier):
                raise DeliveryRefused(
                    f"found {accepted:,} rows after {earlier:,} in the delivery before, {word} than the share "
                    f"{share:g} the contract allows; deliver the full extract, or change the limit"
                )

    def _refuse_emptying(self) -> None:
        is_declared = bool(self._statuses) and set(self._statuses.values()) == {"explicitly_empty"}
        if is_declared and self._contract.optional:
            return
        if self._task.earlier_rows or not self._contract.optional:
            states = ", ".join(f"{name} ({status})" for name, status in sorted(self._statuses.items()))
            raise DeliveryRefused(
                f"the snapshot has no accepted row and would empty the table: {states}; deliver the full extract"
            )

    def _is_compared(self) -> bool:
        is_empty = self._contract.mode == "snapshot" and not any(one.accepted for one in self._counts.values())
        return self._contract.limits.compares or is_empty

    # telling

    def _accounting(self, is_refused: bool) -> Iterator[AccountingRow]:
        for name in sorted(self._counts):
            counts, status = self._counts[name], self._statuses.get(name, "refused")
            if is_refused:
                counts, status = _Counts(), "refused" if status == "accepted" else status
            yield self._row(name, self._task.sha256.get(name, ""), counts, status)
        if not self._counts and is_refused:
            yield self._row(MANIFEST, self._task.sha256.get(MANIFEST, ""), _Counts(), "refused")
        for name, digest in sorted(self._withdrawn().items()):
            self._find("file_is_still_delivered", None, f"{name}: was delivered and has been withdrawn", 1, 1)
            yield self._row(name, digest, _Counts(), "withdrawn")

    def _withdrawn(self) -> dict[str, str]:
        """Files that were part of this delivery and are no longer in its folder, with their hashes."""
        before = self._task.previous.rows if self._task.previous else ()
        gone = {row.file_name: row.file_sha256 for row in before if row.file_name != MANIFEST}
        return {name: digest for name, digest in gone.items() if name not in self._counts}

    def _row(self, name: str, digest: str, counts: _Counts, status: Status) -> AccountingRow:
        return AccountingRow(
            system=self._contract.system,
            extract=self._contract.name,
            extract_date=self._task.delivery.extract_date,
            file_name=name,
            file_sha256=digest,
            delivered_rows=counts.delivered,
            accepted_rows=counts.accepted,
            quarantined_rows=counts.quarantined,
            superseded_rows=counts.superseded,
            status=status,
        )

    def _find(
        self, expectation: str, column: str | None, observed: str, rows: int, unexpected: int, *, severity="warning"
    ) -> None:
        suite = f"ingest/{self._task.delivery.extract}"
        self._findings.append(Finding(suite, expectation, column, severity, False, observed, rows, unexpected))


@contextmanager
def scratch(settings: Settings, delivery: Delivery) -> Iterator[Path]:
    """An empty scratch folder for one delivery; its files go with it."""
    work = lake.work_folder(settings) / f"{delivery.extract.replace('/', '-')}-{delivery.extract_date}"
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        for path in work.iterdir():
            path.unlink()
        work.rmdir()


def write_accepted(
    con: duckdb.DuckDBPyConnection, task: Task, path: Path, delivery: int = 0, typed: str = "typed"
) -> None:
    """The rows of `typed` that stay of the task's delivery, number `delivery` there, as a file of the lake."""
    contract, files, names = task.contract, task.delivery.files, []
    for name in contract.schema_types:
        quoted = identifier(name)
        if name == "_file" and len(files) == 1:  # a constant of one value, which nothing has to be looked up for
            only = literal(files[0].name)
            names.append(f"cast({only} as enum({only})) as {quoted}")
            continue
        # The lake holds the first day not covered, whatever the extract says.
        shifted = contract.inclusive_end_dates and name == "end_date"
        names.append(f"{quoted} + 1 as {quoted}" if shifted else quoted)
    kept = f"select {', '.join(names)} from {typed} where not _bad and _delivery = {delivery}"
    con.execute(f"copy ({kept}) to {literal(str(path))} ({lake.PARQUET})")


def _replace_quarantine(con: duckdb.DuckDBPyConnection, target: Path, has_refused: bool) -> None:
    if not has_refused:
        lake.remove(target)
        return
    written = lake.fresh(target)
    columns = ", ".join(rows.QUARANTINE_COLUMNS)
    path = literal(str(written / lake.PART))
    con.execute(f"copy (select {columns} from refused order by _file, _row) to {path} (format parquet)")
    lake.swap_in(written, target)
