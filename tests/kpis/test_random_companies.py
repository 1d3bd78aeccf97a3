"""Random small companies: every cell of the models against the recomputation in plain Python."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import partial

import pytest
from bruteforce import Settings as BusinessFacts
from bruteforce import assert_tables_equal, compute
from inprocess import CompiledProject, unusual_project
from random_companies import Example, as_company, numbered, search

pytestmark = pytest.mark.long

SEGMENT_KEY = ["grain", "period_start", "segment_dimension", "segment_value"]
KEYS = {
    "fct_engagement_daily": ["date", "segment_dimension", "segment_value"],
    "kpi_cohorts": ["cohort_month", "months_since_start", "segment_dimension", "segment_value"],
    "kpi_values": ["metric_id", *SEGMENT_KEY],
    "fct_account_ltv": ["account_id"],
    "fct_account_periods": ["account_id", "grain", "period_start"],
    "dim_accounts": ["account_id"],
}


def every_cell_agrees(project: CompiledProject, example: Example) -> None:
    facts = BusinessFacts.from_vars(project.business.model_dump())
    expected = compute(as_company(example.lake, example.as_of), facts, example.as_of)
    found = project.run(example.lake, example.as_of)
    assert expected.keys() == found.keys() - {"dim_metrics"}
    for table, rows in expected.items():
        try:
            assert_tables_equal(rows, found[table], KEYS.get(table, SEGMENT_KEY))
        except AssertionError as difference:
            raise AssertionError(f"{table}: {difference}") from None


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_every_cell_of_random_companies(count):
    search(partial(every_cell_agrees, unusual_project()), count)


def test_a_response_that_names_no_survey_counts_nowhere():
    responses = [
        {"response_id": survey, "account_id": "A0", "survey": survey, "topic": survey, "score": Decimal(5),
         "responded_at": dt.datetime(2024, 3, 1, 12), "extract_date": dt.date(2024, 3, 31)}
        for survey in (None, "csat")
    ]  # fmt: skip
    example = Example(numbered({"survey_responses": responses}), dt.date(2024, 3, 31))
    every_cell_agrees(unusual_project(), example)
    topics = {row["segment_value"] for row in unusual_project().run(example.lake, example.as_of)["kpi_satisfaction"]}
    assert topics == {"all", "(unknown)", "csat"}
