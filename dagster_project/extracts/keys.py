"""Rows of one delivery that share a key: which one stays, which are superseded, which contradict each other.

Works on the temporary table `typed` and leaves the temporary table `dropped` (`_file`, `_row`, `fate`
superseded|conflict, `differs` BOOLEAN, `message`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from dagster_project.extracts.contract import Contract, key_column
from dagster_project.extracts.sql import identifier, literal


@dataclass(frozen=True)
class Dropped:
    """Rows of one file that one fate befell; `differs` where their content is not that of the row kept."""

    file_name: str
    fate: Literal["superseded", "conflict"]
    differs: bool
    rows: int


def count_rows(con: duckdb.DuckDBPyConnection, contract: Contract) -> tuple[dict[str, tuple[int, int]], bool]:
    """Rows and bad rows of `typed` by file name, and whether the good ones of all files may share keys."""
    files = con.execute("select _file, count(*), count(*) filter (_bad) from typed group by 1 order by 1").fetchall()
    distinct = con.execute(f"select count(distinct {_fingerprint(contract)}) from typed where not _bad").fetchone()[0]
    good = sum(rows - bad for _, rows, bad in files)
    return {name: (rows, bad) for name, rows, bad in files}, distinct < good


def drop_repeated_keys(con: duckdb.DuckDBPyConnection, contract: Contract) -> list[Dropped]:
    """Fill `dropped`, and what is in it by file.

    Identical rows: one is kept. Different rows of one key: all of them conflict in a snapshot; in a delta the
    newest by `newer_by`, then the last line, is kept.
    """
    con.execute(f"create or replace temp table dropped as {_ranked(contract)}")
    counted = con.execute("select _file, fate, differs, count(*) from dropped group by all order by all").fetchall()
    return [Dropped(*row) for row in counted]


def _ranked(contract: Contract) -> str:
    fingerprint = _fingerprint(contract)
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
            from typed where not _bad and {fingerprint} in (
                select {fingerprint} from typed where not _bad group by 1 having count(*) > 1)
        ), same_key as (
            select {keys}, whole, list({{'file': _file, 'row': _row}} order by {order}) as places,
                min(content) <> max(content) as differs
            from candidates group by all having count(*) > 1
        ), fallen as (
            select *, unnest(case when {conflict} then places else places[2:] end) as place from same_key
        )
        select place.file as _file, place.row as _row, differs, {_message(contract)} as message,
            case when {conflict} then 'conflict' else 'superseded' end as fate
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


def _fingerprint(contract: Contract) -> str:
    """Hash of what identifies a row; rows with different hashes have different keys."""
    plain = f"hash({', '.join(_key(contract))})"
    if contract.whole_row_without is None:
        return plain
    everything = ", ".join(identifier(column.name) for column in contract.columns)
    return f"case when {identifier(contract.whole_row_without)} is null then hash({everything}) else {plain} end"


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
