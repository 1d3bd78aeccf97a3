"""Ingest: everything in landing that the lake does not have yet, and the state of all deliveries."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import duckdb

from dagster_project.extracts import lake, scan, together
from dagster_project.extracts.contract import Contract
from dagster_project.extracts.conversion import Zones
from dagster_project.extracts.delivery import Stamp, Task, read_delivery
from dagster_project.extracts.landing import Delivery, find_deliveries
from dagster_project.extracts.records import (
    AccountingRow,
    DeliveryRecord,
    FileIdentity,
    Finding,
    IngestReport,
    summed_findings,
)
from dagster_project.settings import BusinessSettings, ConfigurationError, Settings

# Part of every record: raise it when the same bytes would be read differently, so that they are read again.
READER_VERSION = 3

Records = dict[tuple[str, dt.date], DeliveryRecord]


def ingest(
    settings: Settings,
    contracts: dict[str, Contract],
    business: BusinessSettings,
    *,
    as_of: dt.date | None = None,
    only: set[tuple[str, dt.date]] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> IngestReport:
    """Read every new or changed delivery into the lake and tell the state of all of them.

    `as_of` leaves out later extract dates, `only` reads nothing but the (extract, extract date) pairs given.
    The caller holds the lock of KEIZOKU_HOME: there is one writer.
    Raises ConfigurationError for a wrong layout of landing or a required extract never delivered.
    """
    deliveries = find_deliveries(settings.landing, contracts)
    lake.clean(settings)
    records = _without_removed_refusals(settings, deliveries, lake.read_records(settings, contracts))
    _require_deliveries(settings, contracts, deliveries, records)
    with _connection(settings) as con:
        lake.write_empty_partitions(con, settings, contracts)
        wanted = [
            one
            for one in deliveries
            if (as_of is None or one.extract_date <= as_of)
            and (only is None or (one.extract, one.extract_date) in only)
        ]
        read = rows = 0
        job = _Job(con, settings, business, contracts, records, progress)
        for position, record in job.run(wanted):
            records[record.extract, record.extract_date] = record
            read, rows = read + 1, rows + record.delivered_rows
            progress(f"{_told(record)} ({position:,} of {len(wanted):,} deliveries)")
    lake.clear_work(settings)
    progress(f"read {read:,} of {len(wanted):,} deliveries: {rows:,} rows" if read else "no new deliveries")
    return replace(_report(contracts, business, records, deliveries, as_of), read=read)


def read_accounting(settings: Settings, contracts: dict[str, Contract], as_of: dt.date) -> list[AccountingRow]:
    """Accounting rows of all deliveries up to the as-of date, from the lake, in stable order."""
    return _accounting(contracts, _until(lake.read_records(settings, contracts), as_of))


def usage_deliveries(
    settings: Settings, contracts: dict[str, Contract], as_of: dt.date, extract: str = "usage/events"
) -> list[tuple[dt.date, str, dict[dt.date, int]]]:
    """Accepted deliveries of usage up to the as-of date: extract date, fingerprint, and rows by local date."""
    only = {extract: contracts[extract]}
    return [
        (day, _fingerprint(record), dict(record.days))
        for (_, day), record in _until(lake.read_records(settings, only), as_of).items()
        if record.is_accepted
    ]


def snapshot_deliveries(
    settings: Settings, contracts: dict[str, Contract], as_of: dt.date
) -> dict[str, dict[dt.date, str]]:
    """Accepted deliveries up to the as-of date of every snapshot extract: fingerprints by extract date."""
    only = {name: contract for name, contract in contracts.items() if contract.mode == "snapshot"}
    found: dict[str, dict[dt.date, str]] = {name: {} for name in only}
    for (extract, day), record in _until(lake.read_records(settings, only), as_of).items():
        if record.is_accepted:
            found[extract][day] = _fingerprint(record)
    return found


def _fingerprint(record: DeliveryRecord) -> str:
    """Of what a delivery left in the lake."""
    files = [(one.name, one.sha256) for one in record.files]
    return hashlib.sha256(f"{record.reading} {files}".encode()).hexdigest()


def newest_snapshot_dates(settings: Settings, contracts: dict[str, Contract]) -> dict[str, dt.date]:
    """The newest accepted extract date of every snapshot extract that has one."""
    newest: dict[str, dt.date] = {}
    for (extract, day), record in lake.read_records(settings, contracts).items():
        if contracts[extract].mode == "snapshot" and record.is_accepted:
            newest[extract] = max(day, newest.get(extract, day))
    return newest


def default_as_of(settings: Settings, contracts: dict[str, Contract]) -> dt.date:
    """The older of the newest accepted extract dates of accounts and subscriptions.

    Raises ConfigurationError where one of them has no accepted delivery.
    """
    wanted = ("crm/accounts", "crm/subscriptions")
    newest = newest_snapshot_dates(settings, {name: contracts[name] for name in wanted if name in contracts})
    for extract in wanted:
        if extract not in newest:
            raise ConfigurationError(
                f"{settings.landing / extract}: no delivery was accepted, so that there is no as-of date; "
                "deliver the extract or mend what was refused"
            )
    return min(newest.values())


def _connection(settings: Settings) -> duckdb.DuckDBPyConnection:
    work = lake.work_folder(settings)
    work.mkdir(parents=True)
    config = {
        **settings.engine,
        "temp_directory": str(work / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    con = duckdb.connect(config=config)
    con.execute("set global TimeZone = 'UTC'")
    return con


def _without_removed_refusals(settings: Settings, deliveries: list[Delivery], records: Records) -> Records:
    """A refused delivery of which nothing was taken in is forgotten when its folder is removed from landing."""
    present = {(one.extract, one.extract_date) for one in deliveries}
    kept = {}
    for key, record in records.items():
        if record.refusal and key not in present:
            lake.remove(lake.partition(settings.lake, *key))
        else:
            kept[key] = record
    return kept


def _require_deliveries(
    settings: Settings, contracts: dict[str, Contract], deliveries: list[Delivery], records: Records
) -> None:
    present = {one.extract for one in deliveries if one.files or one.manifest} | {extract for extract, _ in records}
    for name, contract in contracts.items():
        if not contract.optional and name not in present:
            folder = settings.landing / contract.landing_name
            raise ConfigurationError(
                f"{folder}: found no delivery of the required extract {name}; "
                f"expected files in {folder}/<YYYY-MM-DD>/; deliver it"
            )


@dataclass(frozen=True)
class _Job:
    """What reading deliveries needs, and the records so far; the caller adds to them what `run` hands out."""

    con: duckdb.DuckDBPyConnection
    settings: Settings
    business: BusinessSettings
    contracts: dict[str, Contract]
    records: Records
    progress: Callable[[str], None]

    def run(self, deliveries: list[Delivery]) -> Iterator[tuple[int, DeliveryRecord]]:
        """New records of those deliveries about which anything changed, with their positions, in order.

        Deliveries that are compared with the one before are read one after the other; several of the others at a time.
        """
        total = len(deliveries)
        threads = self.settings.processors
        with ThreadPoolExecutor(threads) as pool:
            position = 0
            for extract, group in groupby(deliveries, key=lambda one: one.extract):
                mine, contract = list(group), self.contracts[extract]
                places = {one.extract_date: place for place, one in enumerate(mine, position + 1)}
                reading = partial(self._read, places, total)
                if contract.mode == "snapshot" or contract.limits.compares:
                    read = chain.from_iterable(reading([task]) for task in map(self._task, mine) if task)
                else:
                    tasks = [task for task in pool.map(self._task, mine) if task]
                    batches = list(together.batches(tasks, threads))
                    # where there is a batch for every processor, DuckDB need not divide one among them
                    self.con.execute(f"set threads = {1 if len(batches) > threads else threads}")
                    read = chain.from_iterable(pool.map(reading, batches))
                for record in read:
                    yield places[record.extract_date], record
                self.con.execute(f"set threads = {threads}")
                position += len(mine)

    def _task(self, delivery: Delivery) -> Task | None:
        """What is to be read of a delivery, or None where nothing about it changed."""
        contract = self.contracts[delivery.extract]
        previous = self.records.get((delivery.extract, delivery.extract_date))
        if previous is None and not delivery.files and not delivery.manifest:
            return None
        zones = Zones(contract.time_zone or self.business.reporting_time_zone, self.business.reporting_time_zone)
        stamps = _stamps(delivery)
        files = _identities(delivery, stamps, previous) if previous else ()
        earlier = _earlier_rows(self.records, delivery, contract)
        reading = _reading(contract, zones)
        if previous is not None and _is_current(previous, files, reading, earlier):
            if previous.files != files:
                target = lake.partition(self.settings.lake, delivery.extract, delivery.extract_date)
                lake.write_record(target, replace(previous, files=files))
            return None
        return Task(delivery, contract, files, stamps, previous, earlier, zones, reading)

    def _read(self, places: dict[dt.date, int], total: int, tasks: list[Task]) -> list[DeliveryRecord]:
        days = [task.delivery.extract_date for task in tasks]
        megabytes = sum(stamp.size for task in tasks for stamp in task.stamps) / 1e6
        what = f"{tasks[0].delivery.extract} {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}"
        self.progress(f"reading {what}, {megabytes:,.1f} MB ({places[days[-1]]:,} of {total:,} deliveries)")
        tasks = [task if task.files else _hashed(task) for task in tasks]
        with self.con.cursor() as session:  # temporary tables are its own
            records = together.read_together(session, self.settings, tasks) if len(tasks) > 1 else {}
            for index, task in enumerate(tasks):
                if index not in records:
                    records[index] = read_delivery(session, self.settings, task)
        for task in tasks:
            if _stamps(task.delivery) != task.stamps and _hashed(task).files != task.files:
                folder = task.delivery.folder
                raise ConfigurationError(f"{folder}: its files changed while they were read; run again when complete")
        return [records[index] for index in range(len(tasks))]


def _stamps(delivery: Delivery) -> tuple[Stamp, ...]:
    stats = [path.stat() for path in _paths(delivery)]
    return tuple(Stamp(one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in stats)


def _paths(delivery: Delivery) -> list[Path]:
    return [*delivery.files, *([delivery.manifest] if delivery.manifest else [])]


def _hashed(task: Task) -> Task:
    """The task with its files as they are now."""
    return replace(task, files=_identities(task.delivery, _stamps(task.delivery), None))


def _identities(
    delivery: Delivery, stamps: tuple[Stamp, ...], previous: DeliveryRecord | None
) -> tuple[FileIdentity, ...]:
    """Identity of every file and the manifest; a file of known size and time is not hashed again."""
    known = {(one.name, one.size, one.mtime_ns): one for one in (previous.files if previous else ())}
    identities = []
    for path, stamp in zip(_paths(delivery), stamps, strict=True):
        seen = known.get((path.name, stamp.size, stamp.mtime_ns))
        identities.append(seen or FileIdentity(path.name, stamp.size, stamp.mtime_ns, scan.sha256(path)))
    return tuple(identities)


def _is_current(
    previous: DeliveryRecord, files: tuple[FileIdentity, ...], reading: str, earlier_rows: int | None
) -> bool:
    same_bytes = [(one.name, one.sha256) for one in previous.files] == [(one.name, one.sha256) for one in files]
    same_comparison = not previous.compared or previous.earlier_rows == earlier_rows
    return same_bytes and same_comparison and previous.reading == reading


def _earlier_rows(records: Records, delivery: Delivery, contract: Contract) -> int | None:
    """Accepted rows of the newest accepted delivery before this one that had any; None where that is not compared."""
    if contract.mode == "delta" and not contract.limits.compares:
        return None
    days = [
        day
        for (extract, day), record in records.items()
        if extract == delivery.extract and day < delivery.extract_date and record.is_accepted and record.accepted_rows
    ]
    return records[delivery.extract, max(days)].accepted_rows if days else None


def _reading(contract: Contract, zones: Zones) -> str:
    return hashlib.sha256(f"{READER_VERSION} {contract.hash} {zones}".encode()).hexdigest()


def _told(record: DeliveryRecord) -> str:
    name = f"{record.extract} {record.extract_date}"
    if record.refusal:
        return record.refusal
    fates = {
        "quarantined": sum(row.quarantined_rows for row in record.rows),
        "superseded": sum(row.superseded_rows for row in record.rows),
    }
    told = [f"{record.accepted_rows:,} rows", *(f"{count:,} {fate}" for fate, count in fates.items() if count)]
    return f"{name}: {', '.join(told)}"


# the report


def _report(
    contracts: dict[str, Contract],
    business: BusinessSettings,
    records: Records,
    deliveries: list[Delivery],
    as_of: dt.date | None,
) -> IngestReport:
    records = _until(records, as_of)
    deliveries = [one for one in deliveries if as_of is None or one.extract_date <= as_of]
    accounting = _accounting(contracts, records)
    standing = set(_standing_refusals(contracts, records))
    found = [
        (record.extract_date, _as_it_stands(finding, record, standing))
        for record in records.values()
        for finding in record.findings
    ]
    found += [(row.extract_date, _missing_finding(row)) for row in accounting if row.status == "missing"]
    found += [one for delivery in deliveries for one in _folder_findings(delivery, records)]
    outdated = _outdated_archives(contracts, business, records, deliveries)
    found += [(record.extract_date, finding) for record, finding, _ in outdated]
    refusals = _standing_refusals(contracts, records) + [refusal for _, _, refusal in outdated if refusal]
    return IngestReport(accounting, summed_findings(found), refusals)


def _as_it_stands(finding: Finding, record: DeliveryRecord, standing: set[str]) -> Finding:
    """A refusal that a later snapshot made irrelevant is a warning."""
    if finding.severity == "critical" and record.refusal not in standing:
        return replace(finding, severity="warning")
    return finding


def _until(records: Records, as_of: dt.date | None) -> Records:
    return {key: records[key] for key in sorted(records) if as_of is None or key[1] <= as_of}


def _accounting(contracts: dict[str, Contract], records: Records) -> list[AccountingRow]:
    rows = [row for record in records.values() for row in record.rows]
    for name, contract in contracts.items():
        if contract.expected == "daily":
            rows += _missing_days(contract, [day for extract, day in records if extract == name])
    return sorted(rows, key=lambda row: (row.system, row.extract, row.extract_date, row.file_name))


def _missing_days(contract: Contract, days: list[dt.date]) -> Iterable[AccountingRow]:
    """A row for each day between the first and the newest delivery of an extract that is expected daily."""
    if not days:
        return
    for offset in range((max(days) - min(days)).days):
        day = min(days) + dt.timedelta(days=offset)
        if day not in days:
            yield AccountingRow(contract.system, contract.name, day, "", "", 0, 0, 0, 0, "missing")


def _warning(extract: str, expectation: str, observed: str) -> Finding:
    return Finding(f"ingest/{extract}", expectation, None, "warning", False, observed, 1, 1)


def _missing_finding(row: AccountingRow) -> Finding:
    return _warning(f"{row.system}/{row.extract}", "every_day_is_delivered", "no delivery of a day that is expected")


def _folder_findings(delivery: Delivery, records: Records) -> Iterable[tuple[dt.date, Finding]]:
    day = delivery.extract_date
    if (delivery.extract, day) not in records:
        yield day, _warning(delivery.extract, "folder_has_files", "the date folder holds no file")
    if delivery.strays:
        observed = f"the contract's file pattern leaves out {', '.join(delivery.strays)}"
        yield day, _warning(delivery.extract, "files_match_pattern", observed)


def _outdated_archives(
    contracts: dict[str, Contract], business: BusinessSettings, records: Records, deliveries: list[Delivery]
) -> list[tuple[DeliveryRecord, Finding, str | None]]:
    """Partitions read under another contract or time zone whose files are no longer in landing to be read again."""
    present = {(one.extract, one.extract_date) for one in deliveries}
    outdated = []
    for key, record in records.items():
        contract = contracts[record.extract]
        zones = Zones(contract.time_zone or business.reporting_time_zone, business.reporting_time_zone)
        if key in present or record.reading == _reading(contract, zones):
            continue
        observed = "was read under another contract and is no longer in landing to be read again"
        refusal = None
        if record.time_zone != business.reporting_time_zone:
            refusal = (
                f"{record.extract} {record.extract_date}: its rows are in the time zone {record.time_zone}, "
                f"the reporting time zone is {business.reporting_time_zone}; put its files back into landing"
            )
        outdated.append((record, _warning(record.extract, "lake_matches_contract", observed), refusal))
    return outdated


def _standing_refusals(contracts: dict[str, Contract], records: Records) -> list[str]:
    """Messages of refused deliveries whose rows are needed: any delta, and the newest snapshot."""
    newest: dict[str, dt.date] = {}
    for (extract, day), record in records.items():
        if not record.is_withdrawn:
            newest[extract] = max(day, newest.get(extract, day))
    return [
        record.refusal
        for (extract, day), record in records.items()
        if record.refusal and (contracts[extract].mode == "delta" or day == newest.get(extract))
    ]
