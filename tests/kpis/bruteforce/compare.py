"""Compares two versions of a table cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .company import Row

SHOWN = 10


def assert_tables_equal(
    expected: list[Row], actual: list[Row], key: Sequence[str], ratio_tolerance: float = 1e-12
) -> None:
    """Fails with the first differing cells (key, column, expected, actual), after missing and unexpected keys.

    Floats may differ by `ratio_tolerance`, relatively; everything else must be equal. Row order does not matter.
    """
    wanted, found = _by_key(expected, key, "expected"), _by_key(actual, key, "actual")
    problems = [f"missing row {_named(key, k)}" for k in wanted if k not in found]
    problems += [f"unexpected row {_named(key, k)}" for k in found if k not in wanted]
    for k in wanted.keys() & found.keys():
        if wanted[k] != found[k]:
            problems += _differing_cells(_named(key, k), wanted[k], found[k], ratio_tolerance)
    if problems:
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise AssertionError("\n".join([f"{len(problems)} differences", *sorted(problems)[:SHOWN]]) + more)


def _by_key(rows: list[Row], key: Sequence[str], side: str) -> dict[tuple, Row]:
    table: dict[tuple, Row] = {}
    for row in rows:
        values = tuple(row[column] for column in key)
        if values in table:
            raise AssertionError(f"{side}: two rows with {_named(key, values)}")
        table[values] = row
    return table


def _named(key: Sequence[str], values: tuple) -> str:
    return ", ".join(f"{column}={value}" for column, value in zip(key, values, strict=True))


def _differing_cells(where: str, expected: Row, actual: Row, tolerance: float) -> list[str]:
    if expected.keys() != actual.keys():
        return [f"{where}: columns: expected {sorted(expected)}, actual {sorted(actual)}"]
    return [
        f"{where}: {column}: expected {expected[column]!r}, actual {actual[column]!r}"
        for column in expected
        if not _same(expected[column], actual[column], tolerance)
    ]


def _same(expected: Any, actual: Any, tolerance: float) -> bool:
    if expected is None or actual is None or isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, float) or isinstance(actual, float):
        difference = abs(float(expected) - float(actual))
        return difference <= tolerance * max(abs(float(expected)), abs(float(actual)))
    return expected == actual
