"""From untyped values of one file to canonical rows: every row is typed, or refused with its first reason.

The typed rows are in the temporary view `typed` of the table `typed_rows` (canonical columns, `_extra`, `_file`,
`_row`, `_bad`, `_delivery`, which tells deliveries read together apart, `_fingerprint` of the key, and `_place`, the
rowid in that table), the refused ones in `refused` with column, reason, message and raw record. Both are made by
set-based SQL; reasons are looked for only where a file has a bad row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from dagster_project.extracts import keys
from dagster_project.extracts.contract import SQL_TYPES, Column, Contract, Rule
from dagster_project.extracts.conversion import Zones, converted, expected
from dagster_project.extracts.reader import SourceFile
from dagster_project.extracts.scan import DeliveryRefused
from dagster_project.extracts.sql import identifier, literal

QUARANTINE_COLUMNS = ("_file", "_row", "column_name", "reason", "message", "record")
_LONGEST_SHOWN = 80
_LINE_BREAK = "line_break"


@dataclass(frozen=True)
class MissingColumn:
    """A declared delivered column that a file lacks; `reads` is the canonical column that is NULL instead."""

    delivered: str
    reads: str


@dataclass(frozen=True)
class Columns:
    """How the columns of one file meet the contract."""

    missing: tuple[MissingColumn, ...]
    undeclared: tuple[str, ...]


@dataclass(frozen=True)
class _Condition:
    """A reason to refuse a row: SQL that is true for it, and SQL of the message."""

    column: str
    reason: str
    when: str
    message: str


@dataclass(frozen=True)
class _Source:
    sql: str
    type: str


_NOWHERE = _Source("cast(null as varchar)", "VARCHAR")  # of a column that the file lacks


def match_columns(contract: Contract, file: SourceFile) -> Columns:
    """Compare delivered with declared columns.

    Raises DeliveryRefused naming required columns that are missing and what the file has instead.
    """
    missing, refused = [], []
    for column in contract.columns:
        for name in _needed(contract, column):
            if name in file.columns:
                continue
            missing.append(MissingColumn(name, column.name))
            if column.required:
                refused.append(name)
    refused += [name for name in _mentioned(contract, contract.where or "") if name not in file.columns]
    if refused:
        raise DeliveryRefused(
            f"{file.name}: required column {', '.join(dict.fromkeys(refused))} is missing; "
            f"found the columns {', '.join(file.columns)}; deliver it, or map it in the contract with `from`"
        )
    declared = {name for column in contract.columns for name in _needed(contract, column)}
    declared |= set(contract.source_columns or [])
    absent_but_defaulted = {column.name for column in contract.columns if column.default is not None}
    reported = tuple(one for one in missing if one.reads not in absent_but_defaulted)
    return Columns(reported, tuple(name for name in file.columns if name not in declared))


def create_typed(con: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """`typed` without a row."""
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in contract.schema_types.items())
    con.execute(
        f"create or replace temp table typed_rows ({columns}, _bad boolean, _delivery integer, _fingerprint ubigint)"
    )
    _view(con)


def create_refused(con: duckdb.DuckDBPyConnection) -> None:
    """An empty table `refused`."""
    con.execute(
        """create or replace temp table refused
           (_file varchar, _row bigint, column_name varchar, reason varchar, message varchar, record varchar)"""
    )


def add_file(
    con: duckdb.DuckDBPyConnection, contract: Contract, file: SourceFile, zones: Zones, *, is_first: bool
) -> None:
    """Put the rows of one file into `typed`, which the first file of a delivery makes anew."""
    select, parameters = _typed(contract, file, zones)
    _fill(con, contract, "?::varchar as _file, 0 as _delivery", select, [file.name, *parameters], is_first=is_first)
    if is_first:
        _view(con)


def add_together(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    source: SourceFile,
    zones: Zones,
    deliveries: Sequence[int],
    *,
    may_break_lines: bool,
    is_first: bool,
) -> None:
    """Put all rows of many files into `typed_rows`, which the first of them make anew: `_position` of the source's
    relation, from 1, is an index of `deliveries`; `_row` is NULL where the relation has none, in the order of the
    files. Line breaks are not looked for where no value may hold one."""
    select, parameters = _typed(contract, source, zones, together=True, may_break_lines=may_break_lines)
    delivery = "(?::integer[])[_position] as _delivery"
    _fill(con, contract, delivery, select, [list(deliveries), *parameters], is_first=is_first)


def view_together(
    con: duckdb.DuckDBPyConnection, contract: Contract, names: Sequence[str], first_rows: Sequence[int]
) -> None:
    """Make `typed` of rows read together; by `_position` the names of the files and, where rows have no number, the
    rowid of the first one."""
    files = ", ".join(literal(name) for name in names)
    select = _together(contract, f"([{files}])[_position]", f"({list(first_rows)}::bigint[])[_position]")
    con.execute(f"create or replace temp view typed as {select}")


def of_file(contract: Contract, name: str, first_row: int) -> str:
    """SQL of what `typed` holds of a delivery of one file among those read together, with constants for what the view
    looks up in lists of all files: who asks for it names the delivery."""
    return f"({_together(contract, literal(name), str(first_row))})"


def _together(contract: Contract, file: str, first_row: str) -> str:
    columns = ", ".join(identifier(column.name) for column in contract.columns)
    return f"""select {columns}, _extra, {file} as _file, coalesce(_row, rowid - {first_row} + 2) as _row, _bad,
        _delivery, _fingerprint, rowid as _place from typed_rows where _wanted"""


def _fill(
    con: duckdb.DuckDBPyConnection, contract: Contract, origin: str, select: str, parameters: list, *, is_first: bool
) -> None:
    """Put the rows of `select` into `typed_rows`, with the columns `origin` that tell where they are from."""
    into = "create or replace temp table typed_rows as" if is_first else "insert into typed_rows"
    fingerprint = keys.fingerprint(contract)
    con.execute(f"{into} select *, {origin}, {fingerprint} as _fingerprint from ({select})", parameters)


def _view(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create or replace temp view typed as select *, rowid as _place from typed_rows")


def _typed(
    contract: Contract, source: SourceFile, zones: Zones, *, together: bool = False, may_break_lines: bool = True
) -> tuple[str, list[object]]:
    """SQL of the canonical rows of a source, `_row` and whether they are `_bad`; of many files all of them, with the
    `_position` of their file and whether the contract wants them."""
    values, conditions = _canonical(contract, source, zones)
    if not may_break_lines:
        conditions = [one for one in conditions if one.reason != _LINE_BREAK]
    body, parameters = _converted(contract, source, values, together=together)
    # A condition that is unknown does not hold; a case asks no other condition about a row once one held.
    bad = f"case when {' or '.join(one.when for one in conditions)} then true else false end" if conditions else "false"
    names = ", ".join(identifier(column.name) for column in contract.columns)
    of_many = ", _wanted, _position" if together else ""
    return f"select {names}, _extra, _row, {bad} as _bad{of_many} from ({body})", parameters


def explain_bad_rows(con: duckdb.DuckDBPyConnection, contract: Contract, file: SourceFile, zones: Zones) -> None:
    """Append the bad rows of one file to `refused`, each with the first reason in contract order."""
    values, conditions = _canonical(contract, file, zones)
    body, parameters = _converted(contract, file, values, with_record=True)
    first = " ".join(f"when {one.when} then {index}" for index, one in enumerate(conditions))
    column, reason, message = (
        "case _first " + " ".join(f"when {i} then {text}" for i, text in enumerate(texts)) + " end"
        for texts in (
            [literal(one.column) for one in conditions],
            [literal(one.reason) for one in conditions],
            [one.message for one in conditions],
        )
    )
    con.execute(
        f"""insert into refused select ?::varchar, _row, {column}, {reason}, {message}, _record
            from (select *, case {first} end as _first from ({body})) where _first is not null order by _row""",
        [file.name, *parameters],
    )


def add_broken_lines(con: duckdb.DuckDBPyConnection, file: SourceFile) -> None:
    """Append the lines that are no record to `refused`."""
    rows = [
        (file.name, one.line, None, "malformed", f"line: {one.reason}", json.dumps({"line": one.raw}))
        for one in file.broken
    ]
    if rows:
        con.executemany("insert into refused values (?, ?, ?, ?, ?, ?)", rows)


def explain_dropped(con: duckdb.DuckDBPyConnection, contract: Contract, file: SourceFile) -> None:
    """Append the rows of one file that `dropped` lists as conflicting to `refused`, with their raw records."""
    named = ", ".join(f"?::varchar, {alias}" for alias in _aliases(file))
    con.execute(
        f"""insert into refused select ?::varchar, d._row, {literal(contract.key[-1])}, 'key_conflict', d.message,
                json_object({named})::varchar
            from {file.relation} as r join dropped as d on d._row = r._row and d._file = ? and d.fate = 'conflict'
            order by d._row""",
        [file.name, *file.columns, *file.parameters, file.name],
    )


def _needed(contract: Contract, column: Column) -> list[str]:
    """Delivered columns that a canonical column reads."""
    if contract.is_expression(column):
        return _mentioned(contract, column.from_)
    name = contract.source_name(column)
    return [] if name is None else [name]


def _mentioned(contract: Contract, expression: str) -> list[str]:
    return [name for name in contract.source_columns or [] if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", expression)]


def _canonical(
    contract: Contract, file: SourceFile, zones: Zones
) -> tuple[dict[str, tuple[_Source, str]], list[_Condition]]:
    """Source and canonical value of every column as SQL, and the conditions that refuse a row, in contract order."""
    values, conditions = {}, []
    for column in contract.columns:
        source = _source(contract, file, column)
        given = identifier(column.name + "?")
        reads = f"{given}[1]" if contract.is_expression(column) else given
        values[column.name] = (source, _value(column, reads, source, zones))
        conditions += _column_conditions(contract, column, given, reads, source)
    conditions += [_rule_condition(contract, rule) for rule in contract.refuse]
    return values, conditions


def _source(contract: Contract, file: SourceFile, column: Column) -> _Source:
    if contract.is_expression(column):
        # A list of one value tells "the expression failed" (NULL) from "its value is NULL" ([NULL]).
        return _Source(f"try([({column.from_})])", contract.expression_types[column.name])
    name = contract.source_name(column)
    if name not in file.columns:
        return _NOWHERE
    index = file.columns.index(name)
    if contract.has_expressions:
        return _Source(identifier(name), "VARCHAR")
    kind = file.types[index]
    return _Source(f"nullif(c{index}, '')" if kind == "VARCHAR" else f"c{index}", kind)


def _value(column: Column, reads: str, source: _Source, zones: Zones) -> str:
    given = "null" if column.default is None else literal(str(column.default))
    default = f"cast({given} as {SQL_TYPES[column.type]})"
    if source is _NOWHERE:
        return default
    value = converted(reads, source.type, column.type, column.format, zones)
    if column.default is None:
        return value
    return f"case when {reads} is null then {default} else {value} end"


def _column_conditions(contract: Contract, column: Column, given: str, reads: str, source: _Source) -> list[_Condition]:
    name, value = column.name, identifier(column.name)
    shown = f"left(cast({reads} as varchar), {_LONGEST_SHOWN})"
    found = literal(f"{name}: found a personal value") if column.pii == "personal" else _found(name, shown)
    found_line_break = _found(name, f"replace({shown}, chr(10), '\\n')") if column.pii != "personal" else found
    conditions = []
    if contract.is_expression(column):
        text = f"{name}: the contract's expression {column.from_} failed on this row"
        conditions.append(_Condition(name, "expression", f"{given} is null", literal(text)))
    wanted = expected(column.type, column.format)
    is_delivered = source is not _NOWHERE
    if is_delivered and column.type != "text":  # anything is one
        unconverted = f"({reads} is not null and {value} is null)"
        conditions.append(_Condition(name, "type", unconverted, f"{found} || {literal(f', expected {wanted}')}"))
    elif is_delivered and not column.multiline:
        when = f"(contains({value}, chr(10)) or contains({value}, chr(13)))"
        conditions.append(_Condition(name, _LINE_BREAK, when, f"{found_line_break} || ', expected a text of one line'"))
    if column.values:
        listed = ", ".join(literal(one) for one in column.values)
        text = f", expected one of {', '.join(column.values)}"
        conditions.append(_Condition(name, "value", f"{value} not in ({listed})", f"{found} || {literal(text)}"))
    if column.required:
        text = f"{name}: found nothing, expected {wanted}: the column is required"
        conditions.append(_Condition(name, "required", f"{value} is null", literal(text)))
    return conditions


def _rule_condition(contract: Contract, rule: Rule) -> _Condition:
    column = next(one for one in contract.columns if one.name == rule.column)
    shown = f"coalesce(left(cast({identifier(column.name)} as varchar), {_LONGEST_SHOWN}), 'nothing')"
    found = (
        literal(f"{column.name}: found a personal value") if column.pii == "personal" else _found(column.name, shown)
    )
    return _Condition(column.name, "rule", f"({rule.when})", f"{found} || {literal(f'; {rule.because}')}")


def _found(name: str, shown: str) -> str:
    return f"{literal(f'{name}: found ')} || '''' || {shown} || ''''"


def _converted(
    contract: Contract,
    file: SourceFile,
    values: dict[str, tuple[_Source, str]],
    *,
    with_record: bool = False,
    together: bool = False,
) -> tuple[str, list[object]]:
    """SQL of the rows of a file: source values (`name?`), canonical values, `_extra`, `_row` and the raw `_record`;
    of many files those that the contract does not want too."""
    sources = ", ".join(f"{source.sql} as {identifier(name + '?')}" for name, (source, _) in values.items())
    canonical = ", ".join(f"{value} as {identifier(name)}" for name, (_, value) in values.items())
    extra, extra_names = _extra(contract, file)
    record, record_names = "", []
    if with_record:
        record = (
            ", json_object(" + ", ".join(f"?::varchar, {alias}" for alias in _aliases(file)) + ")::varchar as _record"
        )
        record_names = list(file.columns)
    wanted = contract.where or "true"
    if together:
        where, of_many = "", f", coalesce(({wanted}), false) as _wanted, _position"
    else:
        where, of_many = f"where ({wanted})", ""
    body = f"""select *, {canonical} from (
        select {sources}, {extra} as _extra{record}, _row{of_many}
        from {_named_relation(contract, file)} {where})"""
    return body, [*extra_names, *record_names, *file.parameters]


def _extra(contract: Contract, file: SourceFile) -> tuple[str, list[object]]:
    undeclared = match_columns(contract, file).undeclared
    kept = [index for index, name in enumerate(file.columns) if name in undeclared or name in contract.keep]
    if not kept:
        return "cast(null as varchar)", []
    pairs = ", ".join(f"?::varchar, c{index}" for index in kept)
    return f"json_object({pairs})::varchar", [file.columns[index] for index in kept]


def _named_relation(contract: Contract, file: SourceFile) -> str:
    """The relation with declared source columns under their names as text, where expressions read them."""
    if not contract.has_expressions:
        return file.relation
    named = []
    for name in contract.source_columns:
        if name in file.columns:
            value = f"nullif(cast(c{file.columns.index(name)} as varchar), '')"
        else:
            value = "cast(null as varchar)"
        named.append(f"{value} as {identifier(name)}")
    return f"(select *, {', '.join(named)} from {file.relation})"


def _aliases(file: SourceFile) -> list[str]:
    return [f"c{index}" for index in range(len(file.columns))]
