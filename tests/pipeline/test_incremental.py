"""Incremental equals full: after any sequence of nights the warehouse holds what a build from nothing would make."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from conftest import OF_ONE_RELEASE, Company, require_equal
from random_nights import EVENT_COLUMNS, FIRST_NIGHT, SETTINGS, Life, Row

from dagster_project import nightly, transformation
from dagster_project.nightly import Night, run_night
from dagster_project.settings import SHIPPED_CONTRACTS, Settings
from dagster_project.transformation import require_success

# What is computed by days, in the order it is built; all else is built anew every night from these and the snapshots.
BY_DAYS = ["int_usage_days", "int_event_days", "int_session_days", "int_recomputed_sessions", "int_sessions"]
USAGE = ["+int_account_days", "+int_onboarding_steps"]
EVERYTHING = ["resource_type:model", "resource_type:seed"]
TONIGHTS_WORK = frozenset(
    {"int_usage_days", "int_recomputed_sessions", "int_fact_days"}
)  # what a night had to do differs, and is no figure


class Killed(Exception):
    """The process is gone, and nothing after this happened."""


@dataclass
class Nights:
    """Nights on one company, building `only` some models, beside builds from nothing of the same deliveries."""

    company: Company
    elsewhere: Path
    only: list[str]

    def night(self, life: Life) -> None:
        """What came is read, and built on what the last night left."""
        one = self.read(life)
        with building(self.only, events_per_batch=5):  # many batches
            require_success(nightly.build_models(one))
        self._compare_with_nothing(one, life)

    def refused(self, life: Life) -> None:
        """What came is read, and a gate refuses before anything is built."""
        self.read(life)

    def failed(self, life: Life) -> None:
        """A data test fails when everything is built."""
        with building(self.only, is_failing=True):
            nightly.build_models(self.read(life))

    def killed(self, life: Life, last: str | None = None) -> None:
        """The process ends after the model `last`, or another one."""
        last = last or life.random.choice(BY_DAYS)
        life.log.append(f"killed after {last}")
        with building([f"+{last}"], is_killed=True), pytest.raises(Killed):
            nightly.build_models(self.read(life))

    def home_with_all_deliveries(self, life: Life) -> Settings:
        """A home that has read nothing yet; what left landing lies there again."""
        home = self._empty_home()
        for root in (self.company.home / "archive", self.company.settings.landing):
            for delivery in root.glob("*/*/*"):
                target = home / "landing" / delivery.relative_to(root)
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(delivery, target)
        return self._settings(life).model_copy(update={"home": home})

    def read_anew(self, life: Life) -> None:
        """All deliveries are read and built from nothing."""
        one = Night(self.home_with_all_deliveries(life), life.as_of)
        nightly.read_deliveries(one)
        with building(self.only):
            require_success(nightly.build_models(one))
        require_equal(self.company.settings.warehouse, one.settings.warehouse, TONIGHTS_WORK, life.told())

    def _compare_with_nothing(self, one: Night, life: Life) -> None:
        """With a build that reads the whole lake, and no records of what is in it."""
        elsewhere = one.settings.model_copy(update={"home": self._empty_home()})
        elsewhere.lake.symlink_to(one.settings.lake)
        with building(self.only):
            mode = one.contracts["crm/subscriptions"].in_place_changes
            require_success(transformation.build(elsewhere, one.business, one.as_of, in_place_changes=mode))
        require_equal(one.settings.warehouse, elsewhere.warehouse, TONIGHTS_WORK, life.told())

    def read(self, life: Life) -> Night:
        """Ingests what is new; the night that may go on."""
        one = Night(self._settings(life), life.as_of)
        assert nightly.read_deliveries(one).refusals == []
        life.unread = {day for day in life.unread if life.as_of and day > life.as_of}
        return one

    def _settings(self, life: Life) -> Settings:
        path = self.company.home / "vars.yml"
        path.write_text(json.dumps(life.settings))  # JSON is YAML
        return self.company.settings.model_copy(update={"vars": path})

    def _empty_home(self) -> Path:
        shutil.rmtree(self.elsewhere, ignore_errors=True)
        self.elsewhere.mkdir()
        return self.elsewhere


@contextmanager
def building(
    only: list[str], *, events_per_batch: int = 1_000_000, is_killed: bool = False, is_failing: bool = False
) -> Iterator[None]:
    """While it lasts, a build makes `only` some models, without their tests, and ends as given."""
    run_dbt = transformation.run_dbt

    def narrowed(command, target, variables, *rest):
        if command == "parse":
            return run_dbt(command, target, variables, *rest)
        progress, options, manifest = rest
        options = [*options, "--no-write-json", "--exclude", "resource_type:test", "--select", *only]
        results = run_dbt(
            command, target, {**variables, "events_per_batch": events_per_batch}, progress, options, manifest
        )
        require_success(results)
        if is_killed:
            raise Killed
        return [*results[:-1], replace(results[-1], status="fail", failures=1)] if is_failing else results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformation, "run_dbt", narrowed)
        patch.setattr(nightly, "_require_done", lambda night, stage: None)  # the gates have tests of their own
        yield


@pytest.fixture
def nights(company, tmp_path) -> Nights:
    """Of a company whose CRM overwrites the terms of its subscriptions, so that the history of snapshots counts."""
    contracts = shutil.copytree(SHIPPED_CONTRACTS / "standard", tmp_path / "contracts")
    path = contracts / "crm" / "subscriptions.yml"
    path.write_text(path.read_text().replace("in_place_changes: restate", "in_place_changes: from_delivery"))
    settings = company.settings.model_copy(update={"contracts": str(contracts)})
    return Nights(Company(settings), tmp_path / "elsewhere", USAGE)


def new_life(nights: Nights, seed: int) -> Life:
    """A company after its first night."""
    random = Random(seed)
    life = Life(nights.company, random, has_users=random.random() < 0.7, settings=random.choice(SETTINGS[:2]))
    life.begin(life.some_history())
    nights.night(life)
    return life


def live_through(nights: Nights, seed: int, length: int) -> None:
    """A random sequence: before each night one to three things happen, and some nights end badly."""
    life = new_life(nights, seed)
    for number in range(1, length):
        for _ in range(life.random.choice([1, 1, 2, 3])):
            life.live()
        end = life.random.choices([nights.night, nights.refused, nights.failed, nights.killed], [12, 1, 1, 2])[0]
        life.log.append(f"night {number}: {end.__name__}")
        end(life)
    life.live()
    nights.night(life)
    nights.read_anew(life)


# one night for each way to keep what changed


def used(day: str, account: str, user: str | None, at: str = "12:00:00", **more: str) -> tuple[dt.date, Row]:
    """An event of 2024, delivered on its day."""
    row = {**dict.fromkeys(EVENT_COLUMNS), "account_id": account, "user_id": user, "event_name": "login"}
    return dt.date.fromisoformat(f"2024-{day}"), {**row, "occurred_at": f"2024-{day} {at}", **more}


def of_subscription(day: str, subscription: str) -> tuple[dt.date, Row]:
    return used(day, None, "u", subscription_id=subscription)


QUIET_HISTORY = [
    used("01-20", "A0", "u"),
    *(used(day, "A1", "u", session_id="s1") for day in ("02-03", "02-05", "02-07")),
    *(used(day, "A1", "v", session_id="s1") for day in ("02-10", "02-12")),
    *(used(day, "A1", "w", session_id="s1") for day in ("02-15", "02-17")),
    used("02-20", "A3", None),
    used("02-20", "A3", "u", event_id="e1"),
    used("02-22", "A2", "w"),
    used("02-24", "A2", "u", "00:10:00"),
    of_subscription("02-26", "S0"),
    of_subscription("02-28", "S3"),
    used("03-03", "A0", "v"),
    used("03-27", "A0", "w"),
]


def nothing_new(life: Life) -> None:
    pass


def a_user_of_the_same_fiscal_year_comes_back(life: Life) -> None:
    """Longer ago than any window, and yet not new to the quarter and the year."""
    deliver(life, *used("03-29", "A0", "u"))


def sessions_lose_a_day(life: Life) -> None:
    """Of three sessions over several days the middle, the last and the first day is withdrawn, with all it had."""
    withdraw(life, "02-05", "02-12", "02-15")


def a_day_changes_for_a_user_and_for_nobody(life: Life) -> None:
    (nobody, identified) = life.events[dt.date(2024, 2, 20)]["part.csv"]
    nobody["duration_seconds"] = "5"
    life.write(dt.date(2024, 2, 20))
    deliver(life, dt.date(2024, 2, 19), {**identified, "occurred_at": "2024-02-20 08:00:00"})  # e1 stands in both


def an_event_is_deleted_by_a_later_delivery(life: Life) -> None:
    (_, identified) = life.events[dt.date(2024, 2, 20)]["part.csv"]
    deliver(life, dt.date(2024, 3, 1), {**identified, "is_deleted": "true"})


def the_evening_before_arrives(life: Life) -> None:
    """A session of which only the part after midnight was known began the day before."""
    deliver(life, *used("02-23", "A2", "u", "23:50:00"))


def a_test_account_and_other_owners(life: Life) -> None:
    life.accounts["A2"]["is_test"] = "true"
    life.owners.update(S0="A3", S3="A0")
    life.deliver_snapshots()


def other_terms_and_an_owner(life: Life) -> None:
    """Which the next snapshots show."""
    life.owners["S0"] = "A1"
    life.terms["S1"] = {"plan": "Pro", "amount": "150"}
    life.accounts["A0"]["industry"] = "bank"


def a_snapshot_before_the_last_is_corrected(life: Life) -> None:
    rows = [dict(row) for row in life.snapshots["crm/accounts", FIRST_NIGHT]]
    rows[0]["industry"] = "steel"
    life.deliver_snapshot("crm/accounts", FIRST_NIGHT, rows)


def no_test_account_and_no_owner(life: Life) -> None:
    life.accounts["A2"]["is_test"] = "false"
    del life.owners["S0"]
    life.deliver_snapshots()


def an_event_to_come(life: Life) -> None:
    deliver(life, dt.date(2024, 3, 29), used("04-02", "A0", "v")[1])


def its_eve(life: Life) -> None:
    come_to(life, "04-01")


def its_day(life: Life) -> None:
    """Thirty days after the user was there, the length of the longest window, and nothing was delivered."""
    come_to(life, "04-02")


def the_eve_again(life: Life) -> None:
    life.as_of = dt.date(2024, 4, 1)


def the_day_again(life: Life) -> None:
    life.as_of = None


def nobody_has_an_id(life: Life) -> None:
    for _, row in life.delivered():
        row["user_id"] = None
    for day in life.events:
        life.write(day)


def somebody_has_one(life: Life) -> None:
    deliver(life, *used("04-02", "A0", "u"))


def other_steps_of_the_onboarding(life: Life) -> None:
    life.settings = SETTINGS[1]


def deliver(life: Life, day: dt.date, row: Row) -> None:
    life.add(day, row, "more.csv")
    life.write(day)


def withdraw(life: Life, *days: str) -> None:
    for day in [dt.date.fromisoformat(f"2024-{day}") for day in days]:
        del life.events[day]
        life.write(day)


def come_to(life: Life, day: str) -> None:
    life.today = dt.date.fromisoformat(f"2024-{day}")
    life.deliver_snapshots()


NIGHTS = [
    [nothing_new],
    [a_user_of_the_same_fiscal_year_comes_back],
    [sessions_lose_a_day],
    [a_day_changes_for_a_user_and_for_nobody],
    [an_event_is_deleted_by_a_later_delivery, the_evening_before_arrives],
    [a_test_account_and_other_owners],
    [no_test_account_and_no_owner, an_event_to_come],
    [other_terms_and_an_owner, its_eve],
    [its_day],
    [the_eve_again, a_snapshot_before_the_last_is_corrected],
    [the_day_again],
    [nobody_has_an_id],
    [somebody_has_one],
    [other_steps_of_the_onboarding],
]


@pytest.mark.parametrize("only", [USAGE, pytest.param(EVERYTHING, marks=pytest.mark.long)], ids=["usage", "everything"])
def test_a_night_for_each_way_to_keep_what_changed(nights, only):
    nights.only = only
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    nights.night(life)
    for happenings in NIGHTS:
        for happens in happenings:
            happens(life)
            life.log.append(happens.__name__)
        nights.night(life)


def test_what_a_killed_run_had_read_may_be_gone_before_the_next(nights):
    """The warehouse then holds a day that neither the last complete build nor the next one knows."""
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    nights.night(life)
    deliver(life, *used("03-28", "A1", "u"))
    nights.killed(life, "int_sessions")
    withdraw(life, "03-28")
    nights.night(life)


def test_segments_of_sessions_of_months_without_new_usage(nights):
    """They change with a plan or an industry that was always another one, a length, and the only session of a month."""
    nights.only = EVERYTHING
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    nights.night(life)
    life.terms["S1"] = {"plan": "Max"}  # of A1, whose sessions are those of February
    life.deliver_snapshots()
    life.events[dt.date(2024, 3, 3)]["part.csv"][0]["duration_seconds"] = "90"
    life.write(dt.date(2024, 3, 3))
    nights.night(life)
    life.accounts["A0"]["industry"] = "steel"
    life.deliver_snapshots()
    withdraw(life, "01-20")
    nights.night(life)


def test_cohorts_and_responses_of_months_that_are_over(nights):
    """They change with an old response, with a member that is a test, and with a month that ends and runs again."""
    nights.only = ["+kpi_cohorts", "+kpi_satisfaction"]
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    response = {"account_id": "A1", "survey": "nps", "responded_at": "2024-02-10 12:00:00", "topic": "company"}
    life.deliver("crm/survey_responses", {**response, "response_id": "R1", "contact_id": "c", "score": 9})
    life.deliver("crm/survey_responses", {**response, "response_id": "R2", "contact_id": "d", "score": 3})
    nights.night(life)
    come_to(life, "03-31")
    life.deliver("crm/survey_responses", {**response, "response_id": "R1", "contact_id": "c", "score": 7})
    nights.night(life)
    life.accounts["A1"]["is_test"] = "true"
    come_to(life, "04-01")
    nights.night(life)
    life.as_of = dt.date(2024, 3, 30)
    nights.night(life)


def test_receipts_and_tickets_of_the_years_before(nights):
    """They add up to those of a night that reads late ones of two years, and an event of a month far ahead."""
    nights.only = ["+int_account_receipts", "+int_account_tickets", "+dim_accounts"]
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    days = ("2022-11-10", "2023-02-10", "2023-05-10", "2024-01-10", "2024-03-10")
    for number, day in enumerate(days):
        pay_and_ask(life, number, day)
    nights.night(life)
    come_to(life, "04-02")
    pay_and_ask(life, 10, "2024-02-20")
    pay_and_ask(life, 11, "2023-03-20")
    nights.night(life)
    pay_and_ask(life, 12, "2024-03-20")
    nights.night(life)
    deliver(life, dt.date(2024, 4, 1), used("06-05", "A0", "u")[1])
    nights.night(life)


def pay_and_ask(life: Life, number: int, day: str) -> None:
    """An account pays, and asks what nobody answers."""
    account = {"account_id": f"A{number % 2}"}
    paid = {"invoice_id": f"I{number}", "issued_at": f"{day} 12:00:00", "amount": 10 + number, "currency": "JPY"}
    life.deliver("crm/invoices", {**account, **paid, "kind": "recurring"})
    asked = {"ticket_id": f"T{number}", "created_at": f"{day} 00:00:00", "first_responded_at": None}
    life.deliver("crm/support_tickets", {**account, **asked, "resolved_at": None})


def test_whether_there_are_users_changes_every_period(nights):
    nights.only = ["+kpi_engagement", "+fct_engagement_daily", "+fct_account_periods"]
    life = Life(nights.company, Random(0))
    life.begin(QUIET_HISTORY)
    nights.night(life)
    nobody_has_an_id(life)
    nights.night(life)


# random nights


def test_usage_after_random_nights(nights):
    live_through(nights, seed=0, length=4)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 104))
def test_usage_after_many_random_nights(nights, seed):
    live_through(nights, seed, length=12)


@pytest.mark.long
def test_every_table_after_random_nights(nights):
    nights.only = EVERYTHING
    live_through(nights, seed=200, length=5)


KILLED_RUN = """
import os, re, signal, sys
from dagster_project import nightly, transformation
from dagster_project.settings import load_settings

run_dbt = transformation.run_dbt

def in_small_batches(command, target, variables, *rest):
    return run_dbt(command, target, {**variables, "events_per_batch": 5}, *rest)

def progress(line):
    if re.match(sys.argv[1], line):
        os.kill(os.getpid(), signal.SIGKILL)

transformation.run_dbt = in_small_batches
nightly._require_done = lambda night, stage: None
nightly.build_models(nightly.Night(load_settings()), progress)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "at",
    [
        "building int_session_days",
        r"int_session_days: .* \(2 of",
        "building int_recomputed_sessions",
        "building kpi_mrr",
    ],
)
def test_a_run_killed_anywhere_is_made_good_by_the_next(nights, at):
    nights.only = EVERYTHING
    life = new_life(nights, seed=3)
    for _ in range(8):
        life.live()
    life.as_of, life.settings = None, {}
    nights.refused(life)
    settings = nights.company.settings
    environment = {**os.environ, "KEIZOKU_HOME": str(settings.home), "KEIZOKU_CONTRACTS": settings.contracts}
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, at], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    nights.night(life)


@pytest.mark.long
def test_whole_runs_publish_what_a_run_from_nothing_publishes(nights):
    life = new_life(nights, seed=4)
    for _ in range(3):
        for _ in range(3):
            life.live()
        run_night(nights.read(life))
    from_nothing = Night(nights.home_with_all_deliveries(life), life.as_of)
    run_night(from_nothing)
    served, expected = (s.published / "kpi.duckdb" for s in (nights.company.settings, from_nothing.settings))
    require_equal(served, expected, OF_ONE_RELEASE, life.told())
