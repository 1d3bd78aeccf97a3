"""Day files of usage as they should not be: ten times the usual size, half of it twice, every user new.

The command runs as a process of its own with little memory, as it would from cron; what it costs is measured.
"""

from __future__ import annotations

import datetime as dt
import os
import sys

import duckdb
import pytest
from benchmarks.measure import Cost, measured
from conftest import Company

from dagster_project.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.long

DAYS = [dt.date(2024, 3, day) for day in (1, 2, 3)]
ROWS = 600_000  # of a usual day; ten times that is more text than the memory limit has bytes
USERS = 5_000
ACCOUNTS = 200
MEMORY_LIMIT = "200MB"
SPARE = 150  # MB by which one run may differ from another, whatever it reads


def events(day: dt.date, rows: int, user: str = f"i % {USERS}") -> str:
    """SQL of a day's events, each of one of its users' one session of the day."""
    return f"""
        select 'e' || i as event_id, 'A' || (i % {ACCOUNTS}) as account_id, 'u' || ({user}) as user_id,
            'login' as event_name, timestamp '{day}' + to_seconds((i * 7919) % 86400) as occurred_at,
            's' || ({user}) || '-{day}' as session_id
        from range({rows}) as t(i)"""


LAST_DAYS = {
    "usual": events(DAYS[-1], ROWS),
    "ten_times": events(DAYS[-1], 10 * ROWS),
    "half_twice": f"({events(DAYS[-1], ROWS // 2)}) union all ({events(DAYS[-1], ROWS // 2)})",
    "every_user_new": events(DAYS[-1], ROWS, "'n' || i"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A company and the cost of its first night, by the kind of its last day; each is run once."""
    made: dict[str, tuple[Company, Cost]] = {}

    def run(kind: str) -> tuple[Company, Cost]:
        if kind not in made:
            company = Company(Settings(home=tmp_path_factory.mktemp(kind)))
            deliver(company, LAST_DAYS[kind])
            limits = {"KEIZOKU_MEMORY_LIMIT": MEMORY_LIMIT, "KEIZOKU_THREADS": "2"}
            environment = {**os.environ, **limits, "KEIZOKU_HOME": str(company.home), "PYTHONPATH": str(PROJECT_ROOT)}
            command = [sys.executable, "-m", "dagster_project.cli", "nightly"]
            made[kind] = company, measured(command, cwd=PROJECT_ROOT, env=environment)
        return made[kind]

    return run


def deliver(company: Company, last_day: str) -> None:
    accounts = [f"A{n}" for n in range(ACCOUNTS)]
    terms = {"product": "core", "amount": 100, "billing_interval": "month", "start_date": "2024-01-05"}
    snapshots = {
        "crm/accounts": [{"account_id": one, "created_at": "2024-01-01"} for one in accounts],
        "crm/subscriptions": [{"subscription_id": f"S-{one}", "account_id": one, **terms} for one in accounts],
    }
    for extract, rows in snapshots.items():
        company.deliver(extract, DAYS[-1].isoformat(), rows)
    for day in DAYS:
        path = company.deliver("usage/events", day.isoformat(), "")
        duckdb.execute(f"copy ({last_day if day == DAYS[-1] else events(day, ROWS)}) to '{path}' (header)")


def last_day(company: Company) -> tuple[int, int]:
    """Active users and sessions of the last day."""
    (found,) = company.query(
        """select active_users, sessions from fct_engagement_daily
           where segment_dimension = 'total' and date = ?""",
        DAYS[-1],
    )
    return found


def accounted(company: Company) -> tuple[int, int, int]:
    """Delivered, accepted and superseded rows of the last day."""
    (found,) = company.query(
        """select delivered_rows, accepted_rows, superseded_rows from meta_row_accounting
           where extract = 'events' and extract_date = ?""",
        DAYS[-1],
    )
    return found


def lines(cost: Cost) -> str:
    return "\n".join(line for _, line in cost.lines)


def test_a_day_of_ten_times_the_usual_size(runs):
    company, cost = runs("ten_times")
    assert last_day(company) == (USERS, USERS)
    assert accounted(company) == (10 * ROWS, 10 * ROWS, 0)
    assert f"read 5 of 5 deliveries: {12 * ROWS + 2 * ACCOUNTS:,} rows" in lines(cost)
    assert "warning: raw/usage/events: expected at most three times the rows of the delivery before" in lines(cost)


def test_a_day_of_which_half_is_delivered_twice(runs):
    company, _ = runs("half_twice")
    assert last_day(company) == (USERS, USERS)
    assert accounted(company) == (ROWS, ROWS // 2, ROWS // 2)
    assert company.query(
        "select unexpected_count from meta_quality_results where expectation = 'rows_are_not_repeated' and not success"
    ) == [(ROWS // 2,)]


def test_a_day_on_which_every_user_is_new(runs):
    company, _ = runs("every_user_new")
    assert last_day(company) == (ROWS, ROWS)
    month = "grain = 'month' and segment_dimension = 'total'"
    assert company.value(f"select active_users from kpi_engagement where {month}") == USERS + ROWS


@pytest.mark.parametrize(("kind", "times_the_rows"), [("ten_times", 4), ("half_twice", 1), ("every_user_new", 1)])
def test_a_run_costs_time_in_proportion_and_no_more_memory(runs, kind, times_the_rows):
    (_, usual), (_, cost) = runs("usual"), runs(kind)
    assert cost.peak_mb < usual.peak_mb + SPARE
    assert cost.cpu_s < 1.5 * times_the_rows * usual.cpu_s
