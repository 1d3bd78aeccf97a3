"""The shipped suites keep the rules of expectations/README.md."""

from __future__ import annotations

import json

import pytest

from dagster_project.quality.suites import SQL_EXPECTATION, read_suite, suite_names, suite_path
from dagster_project.settings import EXPECTATIONS

SUITES = [
    (folder, name) for folder in (EXPECTATIONS / "raw", EXPECTATIONS / "published") for name in suite_names(folder)
]


@pytest.mark.parametrize(("folder", "name"), SUITES, ids=[name for _, name in SUITES])
def test_a_shipped_suite_keeps_the_rules(folder, name):
    path = suite_path(folder, name)
    suite = read_suite(path, name, "any_table")
    assert suite.planned
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["meta"]["action"]
    for entry in document["expectations"]:
        assert entry["description"], f"{name}: {entry['type']} says nothing about what it expects"
        assert "severity" in entry, f"{name}: {entry['type']} leaves its severity to the default"


@pytest.mark.parametrize(("folder", "name"), SUITES, ids=[name for _, name in SUITES])
def test_sql_selects_no_column_of_a_row(folder, name):
    """Rows that are found are counted; a column in the outermost select would carry values out of the file."""
    for planned in read_suite(suite_path(folder, name), name, "any_table").planned:
        if planned.config["type"] == SQL_EXPECTATION:
            query = planned.config["kwargs"]["unexpected_rows_query"]
            assert " select 1 from " in f" {_outermost(query)}", f"{name}: {planned.expectation}"


def _outermost(query: str) -> str:
    depth, kept = 0, []
    for char in query:
        depth -= char == ")"
        if depth == 0:
            kept.append(char)
        depth += char == "("
    return "".join(kept)
