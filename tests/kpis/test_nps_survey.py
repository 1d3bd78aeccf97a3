"""The NPS of a real survey, whose answer is published, through the whole pipeline.

Both versions of its file hold the same answers, one with timestamps to the second in American dates, one in ISO dates
to the millisecond. One contract reads both, so that the second supersedes the first and counts nobody twice.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import SHARED_DATA, Company

from dagster_project.settings import Settings

SURVEY = SHARED_DATA / "nps_prepbench_040"
COLUMNS = {"responses": "nps_responses", "promoters": "promoters", "detractors": "detractors", "NPS": "nps"}
RESPONSES = """
source_columns: [Timestamp, "On a scale of 0-10, how would you rate Sudzilla?"]
file: {last_line_may_end_open: true}
columns:
  # nobody gave answers an id; no two came within a second
  - {name: response_id, from: "strftime(try_strptime(\\"Timestamp\\", FORMATS), '%Y-%m-%d %H:%M:%S')"}
  - {name: survey, from: "'nps'"}
  - {name: topic, from: "'conference'"}
  - {name: score, from: "On a scale of 0-10, how would you rate Sudzilla?"}
  - {name: responded_at, from: "try_strptime(\\"Timestamp\\", FORMATS)"}
""".replace("FORMATS", "['%m/%d/%Y %H:%M:%S', '%Y-%m-%d %H:%M:%S.%f']")


@pytest.fixture
def conference(tmp_path: Path) -> Company:
    """A company with one customer, none of whose contacts is known by name; its survey is not delivered yet."""
    if not SURVEY.is_dir():
        pytest.skip(f"{SURVEY} is absent: the survey is not part of the repository")
    contracts = tmp_path / "contracts" / "crm"
    contracts.mkdir(parents=True)
    for name, text in {"accounts": "optional: false", "subscriptions": "optional: false"}.items():
        (contracts / f"{name}.yml").write_text(text)
    (contracts / "survey_responses.yml").write_text(RESPONSES)
    settings = Settings(home=tmp_path / "home", contracts=str(contracts.parent))
    company = Company(settings)
    company.deliver("crm/accounts", "2019-11-05", [{"account_id": "A1", "created_at": "2019-10-01 09:00:00"}])
    subscription = {"subscription_id": "S1", "account_id": "A1", "amount": 100, "billing_interval": "month"}
    company.deliver("crm/subscriptions", "2019-11-05", [{**subscription, "start_date": "2019-10-01"}])
    return company


@pytest.fixture
def published_answer() -> dict[str, float]:
    """responses, promoters, detractors and NPS as the publisher of the survey counted them."""
    text = (SURVEY / "EXPECTED.txt").read_text()
    return {name: float(re.search(rf"\b{name} (-?[\d.]+)", text)[1]) for name in COLUMNS}


def test_the_published_answer(conference: Company, published_answer: dict[str, float]) -> None:
    deliver(conference, "2019-11-05", "input_01.csv")
    conference.night("2019-11-05")
    assert_answered(conference, "2019-11-05", published_answer)


@pytest.mark.long
def test_the_second_version_counts_nobody_twice(conference: Company, published_answer: dict[str, float]) -> None:
    for day, version in (("2019-11-05", "input_01.csv"), ("2019-11-06", "input_02.csv")):
        deliver(conference, day, version)
    conference.night("2019-11-06")
    for day in ("2019-11-05", "2019-11-06"):
        assert_answered(conference, day, published_answer)
    lake = conference.settings.lake / "crm" / "survey_responses"
    assert conference.value(f"select count(*) from read_parquet('{lake}/*/*.parquet')") == 2 * 39


def deliver(company: Company, day: str, version: str) -> None:
    folder = company.settings.landing / "crm/survey_responses" / day
    folder.mkdir(parents=True)
    shutil.copy(SURVEY / "inputs" / version, folder)


def assert_answered(company: Company, day: str, published_answer: dict[str, float]) -> None:
    """Every line delivered that day was accepted, and the survey is answered as published, in each grain."""
    accounting = company.query(
        "select delivered_rows, accepted_rows, quarantined_rows from meta_row_accounting "
        "where extract = 'survey_responses' and extract_date = ?",
        day,
    )
    assert accounting == [(39, 39, 0)]
    rows = company.rows("kpi_satisfaction", "nps_responses > 0 and segment_dimension in ('total', 'survey_topic')")
    assert {(row["grain"], row["segment_value"]) for row in rows} == {
        (grain, segment) for grain in ("month", "quarter", "year") for segment in ("all", "conference")
    }
    for row in rows:
        assert {name: round(row[column], 1) for name, column in COLUMNS.items()} == published_answer
        assert row["promoters"] + row["passives"] + row["detractors"] == row["nps_responses"]
        assert row["nps"] == 100 * (row["promoters"] - row["detractors"]) / row["nps_responses"]
