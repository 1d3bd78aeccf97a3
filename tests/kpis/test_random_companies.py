"""Random small companies: every cell of the models against the recomputation in plain Python."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pytest
from bruteforce import MissingRate
from inprocess import unusual_project
from oracle import assert_same_tables, recomputed
from random_companies import Example, numbered, search, with_a_rate_of


def every_cell_agrees(example: Example) -> None:
    project = unusual_project()
    assert_same_tables(recomputed(example, project.business), project.run(example.lake, example.as_of))


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_every_cell_of_random_companies(count):
    search(every_cell_agrees, count)


def test_a_response_that_names_no_survey_counts_nowhere():
    responses = [
        {"response_id": survey, "account_id": "A0", "survey": survey, "topic": survey, "score": Decimal(5),
         "responded_at": dt.datetime(2024, 3, 1, 12), "extract_date": dt.date(2024, 3, 31)}
        for survey in (None, "csat")
    ]  # fmt: skip
    example = Example(numbered({"survey_responses": responses}), dt.date(2024, 3, 31))
    every_cell_agrees(example)
    topics = {row["segment_value"] for row in unusual_project().run(example.lake, example.as_of)["kpi_satisfaction"]}
    assert topics == {"all", "(unknown)", "csat"}


@pytest.mark.parametrize("rate_date", [None, "2024-03-20", "2024-04-01"])
def test_an_amount_without_a_rate_of_its_day_is_refused(rate_date):
    example = with_a_rate_of(rate_date)
    with pytest.raises(MissingRate):
        recomputed(example, unusual_project().business)
    with pytest.raises(duckdb.Error, match="refused: no exchange rate for USD on 2024-03-31"):
        unusual_project().run(example.lake, example.as_of)


@pytest.mark.parametrize("rate_date", ["2024-03-21", "2024-03-31"])
def test_a_rate_serves_for_ten_days(rate_date):
    every_cell_agrees(with_a_rate_of(rate_date))


def test_a_failing_example_is_shrunk_to_the_rows_that_matter():
    def check(example: Example) -> None:
        trials = [row for row in example.lake["subscriptions"] if row["is_trial"]]
        refunds = [row for row in example.lake["invoices"] if row["kind"] == "refund"]
        assert not trials or not refunds, "a trial and a refund"

    with pytest.raises(AssertionError, match="a trial and a refund") as failure:
        search(check, 100, together=5)
    (note,) = failure.value.__notes__
    shown = [line.split(":")[0].strip() for line in note.splitlines()[1:]]
    assert [extract for extract in shown if extract != "fx_rates"] == ["subscriptions", "invoices"]
