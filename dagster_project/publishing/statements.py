"""Statements that have nothing to do with one another, two at a time: one sorts while the other is written."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import duckdb


def execute_side_by_side(connection: duckdb.DuckDBPyConnection, statements: Iterable[str]) -> None:
    """Runs all statements, in any order; raises the error of the first that fails."""

    def execute(statement: str) -> None:
        with connection.cursor() as session:
            session.execute(statement)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(execute, statements):
            pass
