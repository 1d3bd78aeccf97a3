"""Delivered files as DuckDB relations of untyped values, every record with its row or line number.

Columns are named c0, c1, ... by position, so that no text of a delivered file ever becomes SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from dagster_project.extracts.careful import BrokenLine, rewrite_delimited, rewrite_json_lines
from dagster_project.extracts.contract import Contract
from dagster_project.extracts.landing import ending
from dagster_project.extracts.scan import DeliveryRefused, Lines, read_header, scan_lines, transcoded
from dagster_project.extracts.sql import literal

LONGEST_LINE = 16 << 20  # bytes
BUFFER = 2 * LONGEST_LINE  # without being told, DuckDB takes 16 of the longest lines at a time


@dataclass(frozen=True)
class SourceFile:
    """One delivered file, readable as `relation`: columns c0.. for `columns`, and `_row` (BIGINT, from 1).

    `_row` is the line number in a text file, the row number in a Parquet file or a sheet.
    `types` are DuckDB types, VARCHAR throughout but for Parquet; `broken` are the lines that are no record.
    """

    name: str
    relation: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    broken: tuple[BrokenLine, ...] = ()
    parameters: tuple[object, ...] = ()
    is_empty: bool = False
    ends_with_newline: bool = True


def open_source(
    con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, work: Path, position: int
) -> SourceFile:
    """Read the file at `path`, the `position`-th of its delivery; scratch files go to `work`.

    Raises DeliveryRefused for a file that is not what its name says or stops in the middle.
    """
    kind = ending(path)
    if path.stat().st_size == 0:
        return SourceFile(path.name, "", (), (), is_empty=True)
    # A link of our own naming: DuckDB takes a path for a pattern, and delivered names may hold pattern characters.
    link = work / f"{position}.{kind}"
    link.symlink_to(path.resolve())
    if kind == "parquet":
        return open_parquet(con, link, path.name)
    if kind == "xlsx":
        return _workbook(con, link, path.name, contract, work, position)
    if not contract.file.is_utf8:
        link = transcoded(link, contract.file.encoding, work / f"{position}.utf8.{kind.split('.')[0]}", path.name)
    lines = scan_lines(link, path.name)
    if lines.is_empty:
        return SourceFile(path.name, "", (), (), is_empty=True)
    if kind.startswith("jsonl"):
        return _json_lines(con, link, path.name, lines, work, position)
    return _delimited(con, link, path.name, lines, contract, work, position)


def open_parquet(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> SourceFile:
    scan = f"read_parquet({literal(str(path))}, file_row_number = true, binary_as_string = true)"
    try:
        description = con.execute(f"select * from {scan} limit 0").description
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].replace(str(path), name)
        raise DeliveryRefused(
            f"{name}: the file stops in the middle or is no Parquet file ({reason}); deliver it again in full"
        ) from None
    columns = tuple(column[0] for column in description[:-1])
    types = tuple(str(column[1]) for column in description[:-1])
    aliases = ", ".join([*positions(columns), "_position"])
    relation = f"(select *, _position + 1 as _row from {scan} as delivered({aliases}))"
    return SourceFile(name, relation, columns, types)


def _workbook(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, contract: Contract, work: Path, position: int
) -> SourceFile:
    from dagster_project.extracts.workbook import rewrite_sheet

    target = work / f"{position}.sheet.csv"
    days = frozenset(contract.source_name(column) for column in contract.columns if column.type == "date") - {None}
    header, broken = rewrite_sheet(path, target, name=name, sheet=contract.file.sheet, days=days)
    if not header:
        return SourceFile(name, "", (), (), is_empty=True)
    table = f"raw_{position}"
    _load_rewritten(con, table, target, positions(header))
    relation = f"(select *, cast(_line as bigint) as _row from {table})"
    return SourceFile(name, relation, tuple(header), ("VARCHAR",) * len(header), tuple(broken))


def _delimited(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    lines: Lines,
    contract: Contract,
    work: Path,
    position: int,
) -> SourceFile:
    delimiter = contract.file.delimiter or ("\t" if ".tsv" in path.name else ",")
    header = read_header(path, delimiter, name)
    table, broken = f"raw_{position}", []
    if _load_delimited(con, table, path, delimiter, positions(header)) == lines.count - 1:
        number = "rowid + 2 as _row"
    else:
        target = work / f"{position}.careful.csv"
        broken = rewrite_delimited(
            path,
            target,
            name=name,
            delimiter=delimiter,
            width=len(header),
            multiline=_multiline(contract, header),
        )
        _load_rewritten(con, table, target, positions(header))
        number = "cast(_line as bigint) as _row"
    if not lines.ends_with_newline and not contract.file.last_line_may_end_open:
        broken += _cut_off(con, table, number, contract, header, lines.count)
    return SourceFile(
        name,
        f"(select *, {number} from {table})",
        tuple(header),
        ("VARCHAR",) * len(header),
        tuple(broken),
        ends_with_newline=lines.ends_with_newline,
    )


def _cut_off(
    con: duckdb.DuckDBPyConnection, table: str, number: str, contract: Contract, header: list[str], last_line: int
) -> list[BrokenLine]:
    """Takes the last record out of the table where nobody can tell whether its last value is whole.

    A file without a final line end may have been cut. A date, a truth value or one of a list of values shows that by
    being none; of a number or a free text the rest would be taken for the whole.
    """
    readers = [column for column in contract.columns if contract.source_name(column) == header[-1]]
    if not readers and not contract.has_expressions:
        return []
    shows_it = readers and all(one.values or one.type in ("boolean", "date", "timestamp") for one in readers)
    last = con.execute(
        f"""select _row, to_json(list_value({", ".join(positions(header))})) from (select *, {number} from {table})
            where _row = ? {f"and c{len(header) - 1} is null" if shows_it else ""}""",
        [last_line],
    ).fetchall()
    if not last:
        return []
    ((line, raw),) = last
    con.execute(f"delete from {table} where rowid = (select max(rowid) from {table})")
    reason = (
        f"the file ends without a line end, so that the last value, of column {header[-1]}, may be cut off; end the "
        "file with a line end, or say file: {last_line_may_end_open: true} in the contract"
    )
    return [BrokenLine(line, raw, reason)]


def _load_delimited(
    con: duckdb.DuckDBPyConnection, table: str, path: Path, delimiter: str, columns: list[str]
) -> int | None:
    """Rows loaded, or None where DuckDB finds a record it cannot read."""
    try:
        return con.execute(
            f"""create or replace temp table {table} as
                select * from {csv_scan(literal(str(path)), delimiter, columns, header=True)}"""
        ).fetchone()[0]
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return None


def _load_rewritten(con: duckdb.DuckDBPyConnection, table: str, path: Path, columns: list[str]) -> None:
    # Our own quoting is sound; not strict, because quoted values may hold other line ends than the records.
    scan = csv_scan(literal(str(path)), ",", ["_line", *columns], header=False, strict=False)
    con.execute(f"create or replace temp table {table} as select * from {scan}")


def csv_scan(
    files: str, delimiter: str, columns: list[str], *, header: bool, strict: bool = True, more: str = ""
) -> str:
    """SQL that reads delimited text as it stands: `files` is the SQL of a path or a list of them."""
    struct = ", ".join(f"'{column}': 'VARCHAR'" for column in columns)
    return (
        f"read_csv({files}, columns = {{{struct}}}, auto_detect = false, header = {header}, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', nullstr = '', strict_mode = {strict}, "
        f"max_line_size = {LONGEST_LINE}, buffer_size = {BUFFER}{', ' * bool(more)}{more})"
    )


def _multiline(contract: Contract, header: list[str]) -> frozenset[int]:
    """Positions whose values may hold line breaks: all but those read as single-line canonical columns."""
    single = {contract.source_name(column) for column in contract.columns if not column.multiline}
    return frozenset(index for index, name in enumerate(header) if name not in single)


def _json_lines(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, lines: Lines, work: Path, position: int
) -> SourceFile:
    table, broken = f"raw_{position}", []
    if _load_lines(con, table, path) != lines.count or not _all_objects(con, table):
        target = work / f"{position}.careful.jsonl"
        broken = rewrite_json_lines(path, target, name=name)
        _load_lines(con, table, target)
    keys = [
        key
        for (key,) in con.execute(
            f"select distinct unnest(json_keys(line)) as key from {table} order by key"
        ).fetchall()
    ]
    values = ", ".join(f"fields[{index + 1}] as {alias}" for index, alias in enumerate(positions(keys)))
    relation = f"""(select {values or "null as none"}, _row from (
        select json_extract_string(line, ?::varchar[]) as fields, rowid + 1 as _row
        from {table} where line is not null))"""
    return SourceFile(
        name,
        relation,
        tuple(keys),
        ("VARCHAR",) * len(keys),
        tuple(broken),
        ([_pointer(key) for key in keys],),
        ends_with_newline=lines.ends_with_newline,
    )


def _load_lines(con: duckdb.DuckDBPyConnection, table: str, path: Path) -> int | None:
    """Lines loaded (a blank line is NULL), or None where one is no UTF-8 text or too long."""
    try:
        return con.execute(
            f"""create or replace temp table {table} as select line from read_csv({literal(str(path))},
                columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, delim = chr(1),
                quote = '', escape = '', nullstr = '', max_line_size = {LONGEST_LINE}, buffer_size = {BUFFER})"""
        ).fetchone()[0]
    except duckdb.InvalidInputException:
        return None


def _all_objects(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(
        f"""select coalesce(bool_and(case when json_valid(line) then json_type(line) = 'OBJECT' else false end), true)
            from {table} where line is not null"""
    ).fetchone()[0]


def positions(columns: list[str] | tuple[str, ...]) -> list[str]:
    """Names of a relation's columns: c0, c1, ..."""
    return [f"c{index}" for index in range(len(columns))]


def _pointer(key: str) -> str:
    """JSON pointer of a key of an object."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
