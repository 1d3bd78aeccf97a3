"""What a contract may say in SQL: one scalar expression over named columns, the same every time it is evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import duckdb

from dagster_project.extracts.sql import identifier

_REFUSED_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "a star",
    "PARAMETER": "a parameter",
    "LAMBDA_REF": "a lambda reference",
}


class ExpressionRefused(Exception):
    """The expression is no plain scalar SQL, or does not bind to the columns given."""


class Binder:
    """Binds expressions to an empty relation, in a database that reaches no file."""

    def __init__(self) -> None:
        self._con = duckdb.connect(config={"enable_external_access": "false", "threads": "1"})

    def bind(self, expression: str, columns: dict[str, str]) -> str:
        """The DuckDB type of `expression` over `columns` (name -> DuckDB type).

        Raises ExpressionRefused with the reason.
        """
        self._check_shape(expression)
        relation = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in columns.items())
        try:
            bound = self._con.execute(f"select ({expression}) from (select {relation}) limit 0")
        except duckdb.Error as error:
            raise ExpressionRefused(f"does not bind: {_first_line(error)}") from None
        kind = str(bound.description[0][1])
        if kind.startswith(("STRUCT", "MAP", "TUPLE", "UNION")) or kind.endswith("]"):
            raise ExpressionRefused(f"is {kind}; expected one plain value")
        return kind

    def _check_shape(self, expression: str) -> None:
        statement = f"select ({expression}\n)"
        parsed = json.loads(self._con.execute("select json_serialize_sql(?::varchar)", [statement]).fetchone()[0])
        if parsed["error"]:
            raise ExpressionRefused(f"is no SQL expression: {parsed['error_message']}")
        nodes = [one["node"] for one in parsed["statements"]]
        if (
            len(nodes) != 1
            or nodes[0]["type"] != "SELECT_NODE"
            or len(nodes[0]["select_list"]) != 1
            or nodes[0]["from_table"]["type"] != "EMPTY"
        ):
            raise ExpressionRefused("is more than one SQL expression")
        for part in _expressions(nodes[0]["select_list"]):
            self._check_part(part)

    def _check_part(self, part: dict[str, Any]) -> None:
        if part["class"] in _REFUSED_CLASSES:
            raise ExpressionRefused(f"contains {_REFUSED_CLASSES[part['class']]}; only scalar expressions are allowed")
        if part["class"] == "FUNCTION" and part["function_name"].lower() not in self._allowed_functions:
            raise ExpressionRefused(
                f"calls {part['function_name']}, which is no scalar function or depends on more than its arguments"
            )
        if part["class"] == "COLUMN_REF" and part["column_names"][-1].lower() in self._clock_names:
            raise ExpressionRefused(f"reads {part['column_names'][-1]}, which depends on the clock or the session")

    @cached_property
    def _allowed_functions(self) -> set[str]:
        rows = self._con.execute(
            """select lower(function_name) from duckdb_functions() where function_type in ('scalar', 'macro')
               group by 1 having bool_and(function_type = 'macro' or stability = 'CONSISTENT')"""
        ).fetchall()
        return {name for (name,) in rows} - self._clock_names

    @cached_property
    def _clock_names(self) -> set[str]:
        rows = self._con.execute(
            """select lower(function_name) from duckdb_functions()
               where stability in ('CONSISTENT_WITHIN_QUERY', 'VOLATILE') or starts_with(function_name, 'current_')"""
        ).fetchall()
        names = {name for (name,) in rows}
        return names | {"localtime", "localtimestamp", "user", "session_user"}


def _expressions(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for value in node.values():
            yield from _expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
