"""Rows of one delivery that share a key: which one stays, which are superseded, which contradict each other.

Works on the temporary view `typed` and leaves the temporary table `dropped` (`_delivery`, `_file`, `_row`, `_place`,
`fate` superseded|conflict, `differs` BOOLEAN, `message`). Rows of different deliveries have nothing to do with each
other; what is dropped is of no delivery any more in `typed_rows`, the table below that view.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import duckdb

from dagster_project.extracts.contract import Contract, key_column
from dagster_project.extracts.sql import identifier, literal

MOST_SORTED = 4_000_000  # fingerprints at a time, of 8 bytes each


@dataclass(frozen=True)
class Dropped:
    """Rows of one file that one fate befell; `differs` where their content is not that of the row kept."""

    delivery: int
    file_name: str
    fate: Literal["superseded", "conflict"]
    differs: bool
    rows: int


def fingerprint(contract: Contract) -> str:
    """SQL of a hash of what identifies a row of `typed`; rows with different hashes have different keys, or are of
    different deliveries."""
    plain = f"hash(_delivery, {', '.join(_key(contract))})"
    if contract.whole_row_without is None:
        return plain
    everything = ", ".join(identifier(column.name) for column in contract.columns)
    missing = f"{identifier(contract.whole_row_without)} is null"
    return f"case when {missing} then hash(_delivery, {everything}) else {plain} end"


def count_rows(con: duckdb.DuckDBPyConnection) -> dict[tuple[int, str], tuple[int, int]]:
    """Rows and bad rows of `typed` by delivery and file name."""
    found = con.execute("select _delivery, _file, count(*), count(*) filter (_bad) from typed group by all").fetchall()
    return {(delivery, name): (rows, bad) for delivery, name, rows, bad in found}


def count_days(con: duckdb.DuckDBPyConnection, contract: Contract) -> list[tuple[int, dt.date, int]]:
    """Good rows of `typed` by delivery and day, where a day is part of the contract's key; else nothing."""
    dated = [sql for part, sql in zip(contract.key, _key(contract), strict=True) if key_column(part)[1]]
    if not dated:
        return []
    found = con.execute(f"select _delivery, {dated[0]} as day, count(*) from typed where not _bad group by all")
    return sorted(found.fetchall())


def drop_repeated_keys(con: duckdb.DuckDBPyConnection, contract: Contract) -> list[Dropped]:
    """Fill `dropped`, and what is in it by delivery and file; nothing where no good rows share a key.

    Identical rows: one is kept. Different rows of one key: all of them conflict in a snapshot; in a delta the
    newest by `newer_by`, then the last line, is kept.
    """
    repeated = _repeated(con)
    if not len(repeated):
        return []
    con.register("repeated", {"_fingerprint": repeated})
    con.execute(f"create or replace temp table dropped as {_ranked(contract)}")
    con.unregister("repeated")
    con.execute("update typed_rows set _delivery = null where rowid in (select _place from dropped)")
    counted = con.execute("select _delivery, _file, fate, differs, count(*) from dropped group by all order by all")
    return [Dropped(*row) for row in counted.fetchall()]


def _repeated(con: duckdb.DuckDBPyConnection) -> Sequence[int]:
    """The fingerprints that more than one good row of `typed` has, ascending, as an array.

    Sorting them with numpy takes a fifth of the time that grouping them takes. DuckDB does not limit that memory, so
    that only a slice of all possible fingerprints is in it at a time.
    """
    import numpy as np  # not needed where nothing is delivered

    rows = con.execute("select count(*) from typed_rows").fetchone()[0]
    slices = rows // MOST_SORTED + 1
    bounds = [index * 2**64 // slices for index in range(slices + 1)]
    repeated = []
    for first, end in pairwise(bounds):
        found = con.execute(
            f"""select _fingerprint from typed
                where not _bad and _fingerprint between {first}::ubigint and {end - 1}::ubigint"""
        ).fetchnumpy()["_fingerprint"]
        found.sort()
        repeated.append(np.unique(found[1:][found[1:] == found[:-1]]))
    return np.concatenate(repeated)


def _ranked(contract: Contract) -> str:
    newest_first = "_file desc, _row desc"
    if contract.newer_by:
        newest_first = f"{identifier(contract.newer_by)} desc nulls last, {newest_first}"
    order = "_file, _row" if contract.mode == "snapshot" else newest_first
    keys = ", ".join(f"{sql} as key_{index}" for index, sql in enumerate(_key(contract)))
    conflict = "differs" if contract.mode == "snapshot" else "false"
    # Grouped lists rather than window functions, which cost several times as much on the usual few rows.
    return f"""
        with candidates as (
            select *, {_content(contract)} as content, {_whole_row(contract)} as whole
            from typed where not _bad and _fingerprint in (select _fingerprint from repeated)
        ), same_key as (
            select _delivery, {keys}, whole,
                list({{'file': _file, 'row': _row, 'place': _place}} order by {order}) as places,
                min(content) <> max(content) as differs
            from candidates group by all having count(*) > 1
        ), fallen as (
            select *, unnest(case when {conflict} then places else places[2:] end) as place from same_key
        )
        select _delivery, place.file as _file, place.row as _row, place.place as _place, differs,
            {_message(contract)} as message, case when {conflict} then 'conflict' else 'superseded' end as fate
        from fallen"""


def _key(contract: Contract) -> list[str]:
    parts = [key_column(part) for part in contract.key]
    return [f"cast({identifier(name)} as date)" if dated else identifier(name) for name, dated in parts]


def _content(contract: Contract) -> str:
    """Text of everything a row says, to tell repeated from contradicting rows."""
    names = [column.name for column in contract.columns] + ["_extra"]
    return "to_json({" + ", ".join(f"{literal(name)}: {identifier(name)}" for name in names) + "})::varchar"


def _whole_row(contract: Contract) -> str:
    """The content where the key alone does not identify the row, else NULL."""
    if contract.whole_row_without is None:
        return "cast(null as varchar)"
    return f"case when {identifier(contract.whole_row_without)} is null then {_content(contract)} end"


def _message(contract: Contract) -> str:
    personal = {column.name for column in contract.columns if column.pii == "personal"}
    shown = [
        literal("a personal value")
        if key_column(part)[0] in personal
        else f"coalesce(cast(key_{index} as varchar), 'nothing')"
        for index, part in enumerate(contract.key)
    ]
    values = " || ', ' || ".join(shown)
    return f"""{literal(", ".join(contract.key) + ": found (")} || {values}
        || ') with different content in '
        || array_to_string(list_transform(places[1:5], lambda one: one.file || ' row ' || one.row), ', ')
        || '; expected one row per key in a snapshot'"""
