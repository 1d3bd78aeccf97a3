"""Random companies delivered for real, night after night: through ingestion, and through models that build on what the
night before left in the warehouse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Company
from inprocess import UNUSUAL, Tables
from oracle import assert_same_tables, recomputed
from random_companies import DELIVERY_DAYS, Example, search
from test_properties import TOGETHER, in_one_go, month_by_month

from dagster_project.settings import Settings, load_business_settings

pytestmark = pytest.mark.long

SYSTEMS = {"events": "usage", "fx_rates": "finance"}
MARTS = "select table_name from duckdb_tables() where table_name similar to '(kpi|fct|dim)_.*' order by 1"


@pytest.fixture(scope="module")
def example() -> Example:
    """The fullest of some groups of companies, as of the last delivery."""
    drawn: list[Example] = []
    search(drawn.append, 10 * TOGETHER, TOGETHER)
    fullest = max(drawn, key=lambda e: sum(len(rows) for rows in e.lake.values()))
    return replace(fullest, as_of=DELIVERY_DAYS[-1])


@pytest.fixture(scope="module")
def monthly(example, tmp_path_factory) -> tuple[Company, dict[str, Tables]]:
    """The company after one night per delivery, and what each night published."""
    company = home_of(tmp_path_factory.mktemp("monthly"))
    delivered = month_by_month(example)
    published = {}
    for day in DELIVERY_DAYS:
        deliver(company, replace(delivered, lake=only(delivered, day)))
        company.night()
        published[str(day)] = marts(company)
    return company, published


def home_of(folder: Path) -> Company:
    given = folder / "vars.yml"
    given.write_text(json.dumps(UNUSUAL))
    return Company(Settings(home=folder / "home", vars=given))


def only(example: Example, day) -> dict:
    return {name: [row for row in rows if row["extract_date"] == day] for name, rows in example.lake.items()}


def deliver(company: Company, example: Example) -> None:
    """One file per extract and extract date, its lines in the order of their files and rows."""
    for extract, rows in example.lake.items():
        for day in sorted({row["extract_date"] for row in rows}):
            lines = sorted((r for r in rows if r["extract_date"] == day), key=lambda r: (r["_file"], r["_row"]))
            columns = dict.fromkeys(name for row in lines for name in row if name[0] != "_" and name != "extract_date")
            content = [{name: row.get(name) for name in columns} for row in lines]
            company.deliver(f"{SYSTEMS.get(extract, 'crm')}/{extract}", str(day), content)


def marts(company: Company) -> Tables:
    return {name: company.rows(name) for (name,) in company.query(MARTS) if name != "kpi_scorecard"}


def test_one_go_ends_with_the_same_tables(example, monthly, tmp_path):
    _, published = monthly
    company = home_of(tmp_path)
    deliver(company, in_one_go(example))
    company.night()
    assert_same_tables(published[str(DELIVERY_DAYS[-1])], marts(company))


def test_every_cell_after_the_last_night(example, monthly):
    company, published = monthly
    expected = recomputed(month_by_month(example), load_business_settings(company.settings))
    assert_same_tables(expected, published[str(DELIVERY_DAYS[-1])])


@pytest.mark.parametrize("day", map(str, DELIVERY_DAYS[:-1]))
def test_as_of_a_past_day_gives_what_was_published_then(monthly, day):
    company, published = monthly
    company.night(day)
    assert_same_tables(published[day], marts(company))
