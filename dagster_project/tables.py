"""Small tables of Python's rows, made by one JSON text: a statement per row takes a second for a thousand of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb


def create_table(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """A table with these columns (SQL types by name), filled from rows that have at least them."""
    connection.execute(f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    insert_rows(connection, table, columns, rows)


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    structure = json.dumps([{name: kind.upper() for name, kind in columns.items()}])
    payload = json.dumps([{name: row[name] for name in columns} for row in rows], default=str)
    connection.execute(
        f"insert into {table} select unnest(from_json(cast(? as json), ?), recursive := true)", [payload, structure]
    )
