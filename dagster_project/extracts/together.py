"""Many small deliveries of one extract read at once: one statement for what would cost each of them a dozen.

Only plain deliveries are: files of known columns whose every line is a record and every row meets the contract. All
others are left to `read_delivery`, which tells what is wrong with them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from dagster_project.extracts import keys, lake, rows
from dagster_project.extracts.contract import Contract
from dagster_project.extracts.delivery import Judge, Task, scratch, write_accepted
from dagster_project.extracts.landing import ending
from dagster_project.extracts.reader import SourceFile, csv_scan, open_parquet, positions
from dagster_project.extracts.records import DeliveryRecord
from dagster_project.extracts.scan import DeliveryRefused, read_header, scan_lines
from dagster_project.extracts.sql import literal
from dagster_project.settings import Settings

MOST_DELIVERIES = 64
LAST_DELIVERIES = 16
MOST_BYTES = 24 << 20  # of compressed files, and a quarter of what plain text may have: about a million rows


@dataclass(frozen=True)
class _Opened:
    """A well-formed file; `records` is the number of them that a text file must give, one from every line.

    `may_break_lines` tells whether a value may hold a line break: none does where a line is a record and ends in LF.
    """

    task: int
    link: Path
    source: SourceFile
    delimiter: str | None
    records: int | None
    may_break_lines: bool


def batches(tasks: Sequence[Task], processors: int) -> Iterator[list[Task]]:
    """Runs of tasks of one extract that are read at once; a large one is alone, and the last ones are short, so that no
    processor waits long for the others."""
    batch, size, most = [], 0, 0
    for position, task in enumerate(tasks):
        weight = sum(_weight(path) for path in task.delivery.files)
        if batch and (size + weight > MOST_BYTES or len(batch) == most):
            yield batch
            batch, size = [], 0
        if not batch:
            share = math.ceil((len(tasks) - position) / processors)
            most = min(max(share, LAST_DELIVERIES), MOST_DELIVERIES)
        batch.append(task)
        size += weight
    if batch:
        yield batch


def read_together(
    con: duckdb.DuckDBPyConnection, settings: Settings, tasks: Sequence[Task]
) -> dict[int, DeliveryRecord]:
    """Replace the partitions of the plain deliveries among `tasks`, and return their records by position."""
    contract = tasks[0].contract
    with scratch(settings, tasks[0].delivery) as work:
        opened = _opened(con, tasks, work)
        try:
            first_rows = _typed(con, contract, opened, tasks) if opened else None
        except (duckdb.Error, DeliveryRefused):  # read one by one, it is told which file and why
            return {}
        return _accepted(con, settings, tasks, opened, first_rows) if first_rows else {}


def _weight(path: Path) -> int:
    size = path.stat().st_size
    return size // 4 if ending(path) in ("csv", "tsv") else size


def _opened(con: duckdb.DuckDBPyConnection, tasks: Sequence[Task], work: Path) -> list[_Opened]:
    """The files of the tasks whose every file could be opened, in order."""
    found = []
    for index, task in enumerate(tasks):
        files = task.delivery.files
        if task.delivery.manifest or task.contract.manifest == "required" or not files:
            continue
        mine = [_open(con, path, task.contract, index, work / f"{index}-{n}") for n, path in enumerate(files)]
        if all(mine):
            found += mine
    return found


def _open(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, task: int, stem: Path) -> _Opened | None:
    kind = ending(path)
    is_text = kind.startswith(("csv", "tsv"))
    if path.stat().st_size == 0 or not (is_text or kind == "parquet"):
        return None
    link = stem.with_name(f"{stem.name}.{kind}")
    link.symlink_to(path.resolve())
    try:
        if not is_text:
            return _Opened(task, link, open_parquet(con, link, path.name), None, None, True)
        if not contract.file.is_utf8:
            return None
        lines = scan_lines(link, path.name)
        delimiter = contract.file.delimiter or ("\t" if kind.startswith("tsv") else ",")
        header = tuple(read_header(link, delimiter, path.name))
    except DeliveryRefused:
        return None
    if not lines.ends_with_newline:
        return None
    source = SourceFile(path.name, "", header, ("VARCHAR",) * len(header))
    return _Opened(task, link, source, delimiter, lines.count - 1, lines.has_carriage_return)


def _typed(
    con: duckdb.DuckDBPyConnection, contract: Contract, opened: Sequence[_Opened], tasks: Sequence[Task]
) -> list[int] | None:
    """Make `typed` of all files, and tell the rowid of the first row of each; None where a text file has other records
    than lines."""
    alike: dict[tuple, list[_Opened]] = defaultdict(list)
    for one in opened:
        alike[one.source.columns, one.source.types, one.delimiter, one.may_break_lines].append(one)
    position = _position(opened)
    deliveries = [one.task for one in opened]
    for number, group in enumerate(alike.values()):
        relation = _text(group, position) if group[0].delimiter else _parquet(group, position)
        source = replace(group[0].source, relation=relation)
        breaks = group[0].may_break_lines
        rows.add_together(
            con, contract, source, tasks[0].zones, deliveries, may_break_lines=breaks, is_first=number == 0
        )
    found = con.execute(
        "select _position, min(rowid), max(rowid), count(*) from typed_rows where _row is null group by 1"
    ).fetchall()
    records = {place: (first, last - first + 1, count) for place, first, last, count in found}
    first_rows = []
    for place, one in enumerate(opened, 1):
        first, span, count = records.get(place, (0, 0, 0))
        if one.records is not None and not span == count == one.records:
            return None
        first_rows.append(first)
    rows.view_together(con, contract, [one.source.name for one in opened], first_rows)
    return first_rows


def _position(opened: Sequence[_Opened]) -> str:
    """SQL of the position in `opened` of the file a row is from, by the name of its link."""
    names = ", ".join(literal(one.link.name) for one in opened)
    return f"list_position([{names}], parse_filename(filename))"


def _links(group: Sequence[_Opened]) -> str:
    return "[" + ", ".join(literal(str(one.link)) for one in group) + "]"


def _parquet(group: Sequence[_Opened], position: str) -> str:
    aliases = ", ".join([*positions(group[0].source.columns), "_at", "filename"])
    scan = f"read_parquet({_links(group)}, filename = true, file_row_number = true, binary_as_string = true)"
    return f"(select *, _at + 1 as _row, {position} as _position from {scan} as delivered({aliases}))"


def _text(group: Sequence[_Opened], position: str) -> str:
    columns = positions(group[0].source.columns)
    scan = csv_scan(_links(group), group[0].delimiter, columns, header=True, more="filename = true")
    return f"(select *, cast(null as bigint) as _row, {position} as _position from {scan})"


def _accepted(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    tasks: Sequence[Task],
    opened: Sequence[_Opened],
    first_rows: Sequence[int],
) -> dict[int, DeliveryRecord]:
    contract = tasks[0].contract
    counted, days, dropped = defaultdict(dict), defaultdict(list), defaultdict(list)
    for (task, name), counts in keys.count_rows(con).items():
        counted[task][name] = counts
    for task, day, count in keys.count_days(con, contract):
        days[task].append((day, count))
    for one in keys.drop_repeated_keys(con, contract):
        dropped[one.delivery].append(one)
    sources, typed = defaultdict(list), {}
    for one, first_row in zip(opened, first_rows, strict=True):
        typed[one.task] = "typed" if sources[one.task] else rows.of_file(contract, one.source.name, first_row)
        sources[one.task].append(one.source)
    records = {}
    for index, found in sources.items():
        task = tasks[index]
        if Counter(fate.fate for fate in dropped[index])["conflict"] or any(bad for _, bad in counted[index].values()):
            continue
        judge = Judge(con, task, settings.lake)
        take = (found, counted[index], tuple(days[index]), dropped[index])
        record = judge.record(lambda judge=judge, take=take: judge.take(*take))
        if record.refusal:
            continue
        target = lake.partition(settings.lake, task.delivery.extract, task.delivery.extract_date)
        written = lake.fresh(target)
        write_accepted(con, task, written / lake.PART, index, typed[index])
        lake.write_record(written, record)
        lake.remove(lake.partition(settings.quarantine, task.delivery.extract, task.delivery.extract_date))
        lake.swap_in(written, target)
        records[index] = record
    return records
