"""Places in lake/ and quarantine/, and the only ways to change them: whole partitions, by rename.

A partition is written under a hidden sibling name and renamed. A kill at any point leaves the old or the new
partition, or both names; `clean` settles that before anything else is done.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from functools import lru_cache
from glob import glob
from pathlib import Path

import duckdb

from dagster_project.extracts.contract import Contract
from dagster_project.extracts.records import DeliveryRecord
from dagster_project.extracts.sql import identifier, literal
from dagster_project.files import write_whole
from dagster_project.settings import Settings

# Of the files it reads DuckDB opens the first and takes all to be of its size: the empty one of an extract comes last.
EMPTY_DATE = dt.date(9999, 12, 31)
RECORD = "_delivery.json"
PART, EMPTY = "part-0.parquet", "empty.parquet"  # dbt names them too, in macros/engine/lake.sql
# Half the processor time and half the size of the defaults, where most of a file are ids of their own: level 1 packs
# texts as well as level 3, no dictionary is tried on columns that have more values than one is good for, and nothing
# reads the lake by single values, so that no Bloom filter would serve.
PARQUET = (
    "format parquet, compression zstd, compression_level 1, parquet_version v2, dictionary_size_limit 500, "
    "write_bloom_filter false"
)
_PREFIX = "extract_date="
_NEW, _OLD = ".new", ".old"


def partition(root: Path, extract: str, day: dt.date) -> Path:
    return root / extract / f"{_PREFIX}{day.isoformat()}"


def work_folder(settings: Settings) -> Path:
    """Scratch space of the run, emptied at its start."""
    return settings.lake / ".work"


def clear_work(settings: Settings) -> None:
    shutil.rmtree(work_folder(settings), ignore_errors=True)


def clean(settings: Settings) -> None:
    """Undo what an interrupted run left behind."""
    clear_work(settings)
    for root in (settings.lake, settings.quarantine):
        for path in root.glob(f"*/*/.{_PREFIX}*"):
            current = path.with_name(path.name.removeprefix(".").removesuffix(_OLD))
            if path.name.endswith(_OLD) and not current.exists():
                path.rename(current)
            else:
                shutil.rmtree(path)


def fresh(target: Path) -> Path:
    """An empty folder in which the next state of partition `target` is written."""
    path = target.with_name(f".{target.name}{_NEW}")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def swap_in(written: Path, target: Path) -> None:
    """Put the partition written by `fresh` in place of `target`."""
    old = target.with_name(f".{target.name}{_OLD}")
    if target.exists():
        target.rename(old)
    written.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def remove(target: Path) -> None:
    if target.exists():
        gone = target.with_name(f".{target.name}{_NEW}")
        target.rename(gone)
        shutil.rmtree(gone)


def write_empty_partitions(con: duckdb.DuckDBPyConnection, settings: Settings, contracts: dict[str, Contract]) -> None:
    """A zero-row file of every extract, so that reading an extract finds a file and its columns."""
    for name, contract in contracts.items():
        (partition(settings.lake, name, dt.date(1, 1, 1)) / EMPTY).unlink(missing_ok=True)  # its former place
        target = partition(settings.lake, name, EMPTY_DATE)
        target.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(f"cast(null as {kind}) as {identifier(n)}" for n, kind in contract.schema_types.items())
        written = target / ".empty.parquet.new"
        con.execute(f"copy (select {columns} limit 0) to {literal(str(written))} (format parquet)")
        os.replace(written, target / EMPTY)


def read_records(settings: Settings, contracts: dict[str, Contract]) -> dict[tuple[str, dt.date], DeliveryRecord]:
    """Records of all partitions of the contracts' extracts, by extract and date.

    A partition whose record is missing or unreadable is left out: it is read again from landing.
    """
    records = {}
    for name in sorted(contracts):
        root = settings.lake / name
        # as texts: thousands of Paths take longer than what is asked of the system
        for found in sorted(glob(f"{_PREFIX}*", root_dir=root)):
            path = f"{root}/{found}/{RECORD}"
            try:
                stat = os.stat(path)
                record = _record(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except (FileNotFoundError, NotADirectoryError, ValueError):
                continue
            records[record.extract, record.extract_date] = record
    return records


@lru_cache(maxsize=1 << 16)
def _record(path: str, inode: int, mtime_ns: int, size: int) -> DeliveryRecord:
    """Every stage of a night reads all records; a file is parsed again only where it was replaced."""
    return DeliveryRecord.from_json(Path(path).read_text(encoding="utf-8"))


def write_record(folder: Path, record: DeliveryRecord) -> None:
    """Write or replace the record in a partition folder."""
    write_whole(folder / RECORD, record.to_json())
