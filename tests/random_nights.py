"""Random lives of a small company's deliveries: what may happen to them from one night to the next.

A `Life` keeps the deliveries as rows and the landing folder as their files. Each step changes a few of them, the way
late, corrected and repeated extracts do, at the edges where a figure kept from the night before could be wrong:
midnight, the windows of 7 and 30 days, the first day of the fiscal year, another delivery's event of the same id.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from conftest import Company, as_csv

Row = dict[str, Any]
DAY = dt.timedelta(days=1)
BEGIN = dt.date(2024, 1, 10)
FIRST_NIGHT = dt.date(2024, 3, 28)  # a fiscal year begins within the nights that follow
HISTORY = (FIRST_NIGHT - BEGIN).days
ACCOUNTS = ["A0", "A1", "A2", "A3"]
SUBSCRIPTIONS = ["S0", "S1", "S2", "S3"]
USERS = ["u", "v", "w"]
EVENT_COLUMNS = [
    "event_id", "account_id", "subscription_id", "user_id", "event_name", "occurred_at", "session_id",
    "duration_seconds", "quantity", "is_deleted",
]  # fmt: skip
TIMES = ["00:00:00", "00:10:00", "00:29:59.999999", "12:00:00", "12:31:00", "23:30:00", "23:45:00", "23:59:59"]
GAPS = [0, 1, 1, 2, 7, 8, 29, 30, 31, 33, 40]
SETTINGS = [
    {},
    {"onboarding": {"steps": ["event:login>=2"], "require": "all", "within_days": 90}},
    {"onboarding": {"steps": ["event:login", "event:export>=3"], "require": "any", "within_days": 30}},
    {"fiscal_year_start_month": 2},
]


@dataclass
class Life:
    """The deliveries of one company, in memory and in its landing folder, and the day it has come to."""

    company: Company
    random: Random
    has_users: bool = True
    today: dt.date = FIRST_NIGHT
    as_of: dt.date | None = None
    settings: Row = field(default_factory=dict)
    accounts: dict[str, Row] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # account by subscription
    terms: dict[str, Row] = field(default_factory=dict)  # of a subscription, where they are not the usual ones
    snapshots: dict[tuple[str, dt.date], list[Row]] = field(default_factory=dict)  # rows by extract and extract date
    deltas: dict[tuple[str, dt.date], list[Row]] = field(default_factory=dict)  # rows by extract and extract date
    events: dict[dt.date, dict[str, list[Row]]] = field(default_factory=dict)  # rows by extract date and file
    unread: set[dt.date] = field(default_factory=set)  # extract dates of events that no night has read yet
    log: list[str] = field(default_factory=list)
    _stamps: Any = field(default_factory=lambda: count(1_700_000_000_000_000_000, 1_000_000_000))

    def begin(self, history: Iterable[tuple[dt.date, Row]]) -> None:
        """Lands the first night's snapshots, and events with their extract dates."""
        self.accounts = {a: {"account_id": a, "is_test": "false", "industry": "retail"} for a in ACCOUNTS}
        self.owners = {s: f"A{n % 3}" for n, s in enumerate(SUBSCRIPTIONS[:3])}
        for day, row in history:
            self.add(day, row)
        self.deliver_snapshots()
        rates = [{"currency": "USD", "rate_date": BEGIN + n * DAY, "rate": 150 + n % 7} for n in range(-400, 200, 5)]
        self._deliver("finance/fx_rates", self.today, as_csv(rates))
        for day in self.events:
            self.write(day)

    def some_history(self) -> Iterator[tuple[dt.date, Row]]:
        """Events of users that are active now and then."""
        for owner in [*({"account_id": a} for a in ACCOUNTS), *({"subscription_id": s} for s in SUBSCRIPTIONS)]:
            for user in USERS:
                day = BEGIN + self.random.randrange(HISTORY) * DAY
                while day <= FIRST_NIGHT and self.random.random() < 0.8:
                    yield day, self.event(day, owner, user)
                    day += self.random.choice(GAPS) * DAY

    # what steps are made of

    def event(self, day: dt.date, owner: Row | None = None, user: str | None = None) -> Row:
        """An event of the day; of anybody where nobody is given."""
        pick = self.random.choice
        owner = owner or pick([{"account_id": pick([*ACCOUNTS, "A9"])}, {"subscription_id": pick(SUBSCRIPTIONS)}])
        return {
            **dict.fromkeys(EVENT_COLUMNS),
            **owner,
            "event_id": pick([None, *(f"e{n}" for n in range(30))]),
            "user_id": (user or pick([*USERS, None])) if self.has_users else None,
            "event_name": pick(["login", "export", None]),
            "occurred_at": f"{day} {pick(TIMES)}",
            "session_id": pick([None, None, "s1", "s2"]),
            "duration_seconds": pick([None, "0", "61.5"]),
        }

    def add(self, day: dt.date, row: Row, name: str = "part.csv") -> None:
        """Puts a row into a delivery; `write` lands it."""
        self.events.setdefault(day, {}).setdefault(name, []).append(row)

    def delivered(self) -> list[tuple[dt.date, Row]]:
        """Every event row with its extract date."""
        return [(day, row) for day, files in sorted(self.events.items()) for rows in files.values() for row in rows]

    def some_delivery(self) -> tuple[dt.date, str]:
        """One of the files in landing; a recent one as often as any other."""
        day = self.random.choice(self.random.choice([sorted(self.events), sorted(self.events)[-4:]]))
        return day, self.random.choice(sorted(self.events[day]))

    def write(self, day: dt.date) -> None:
        """Makes the date folder of usage/events what `events` says; an empty one stays a folder."""
        self.unread.add(day)
        folder = self.company.settings.landing / "usage/events" / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {name: as_csv(rows) for name, rows in self.events.get(day, {}).items() if rows}
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        for name, text in wanted.items():
            self._deliver("usage/events", day, text, name)

    def deliver_snapshots(self, day: dt.date | None = None) -> None:
        """Lands accounts and subscriptions as they are now, as today's snapshots or those of another day."""
        accounts = [{**row, "created_at": "2024-01-02 09:00:00"} for row in self.accounts.values()]
        self.deliver_snapshot("crm/accounts", day or self.today, accounts)
        usual = {"product": "core", "plan": "Basic", "amount": "100", "billing_interval": "month", "end_date": None,
                 "currency": "JPY", "is_trial": "false"}  # fmt: skip
        rows = [
            {"subscription_id": s, "account_id": a, **usual, "start_date": "2024-01-05", **self.terms.get(s, {})}
            for s, a in self.owners.items()
        ]
        self.deliver_snapshot("crm/subscriptions", day or self.today, rows)

    def deliver_snapshot(self, extract: str, day: dt.date, rows: list[Row]) -> None:
        self.snapshots[extract, day] = rows
        self._deliver(extract, day, as_csv(rows))

    def deliver(self, extract: str, row: Row) -> None:
        """Adds a row to today's delivery of a delta extract."""
        self.deltas.setdefault((extract, self.today), []).append(row)
        self._deliver(extract, self.today, as_csv(self.deltas[extract, self.today]), "more.csv")

    def _deliver(self, extract: str, day: dt.date, text: str, name: str = "part.csv") -> None:
        path: Path = self.company.settings.landing / extract / day.isoformat() / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        self.company.deliver(extract, day.isoformat(), text, name)
        stamp = next(self._stamps)  # of the same size and moment, new bytes would pass for the old ones
        os.utime(path, ns=(stamp, stamp))

    def live(self) -> str:
        """Lets something happen; returns what."""
        step = self.random.choices(list(STEPS), list(STEPS.values()))[0]
        told = step(self)
        self.log.append(f"{self.today}: {step.__name__}: {told}")
        return self.log[-1]

    def told(self) -> str:
        return "\n".join(self.log)


# the steps; each returns what it changed


def a_new_day(life: Life) -> str:
    life.today += DAY
    life.as_of = None
    for _ in range(life.random.randint(1, 4)):
        life.add(life.today, life.event(life.today - life.random.choice([0, 0, 0, 1, 1, 3]) * DAY))
    life.write(life.today)
    life.deliver_snapshots()
    return f"{life.events[life.today]}"


def a_late_day(life: Life) -> str:
    days = [BEGIN + n * DAY for n in range((life.today - BEGIN).days)]
    day = life.random.choice([d for d in days if d not in life.events][-30:])
    life.add(day, life.event(day - life.random.choice([0, 1]) * DAY))
    life.write(day)
    return f"{day} {life.events[day]}"


def a_corrected_file(life: Life) -> str:
    day, name = life.some_delivery()
    rows = life.events[day][name]
    place = life.random.randrange(len(rows))
    changes = {
        "user_id": life.random.choice(USERS) if life.has_users else None,
        "session_id": life.random.choice([None, "s1", "s2"]),
        "occurred_at": f"{day - life.random.choice([0, 0, 1, 5]) * DAY} {life.random.choice(TIMES)}",
        "duration_seconds": "7",
        "event_name": "login",
        "quantity": "many",  # no number: the row is quarantined
    }
    changed = life.random.choice(list(changes))
    rows[place] = {**rows[place], changed: changes[changed]}
    life.write(day)
    return f"{day} {name} {rows[place]}"


def a_dropped_row(life: Life) -> str:
    day, name = life.some_delivery()
    gone = life.events[day][name].pop(life.random.randrange(len(life.events[day][name])))
    _tidy(life, day)
    return f"{day} {name} {gone}"


def a_withdrawn_file(life: Life) -> str:
    day, name = life.some_delivery()
    gone = life.events[day].pop(name)
    _tidy(life, day)
    return f"{day} {name} {gone}"


def a_renamed_file(life: Life) -> str:
    day, name = life.some_delivery()
    new_name = life.random.choice(["a.csv", "z.csv"])
    life.events[day][new_name] = life.events[day].pop(name) + life.events[day].pop(new_name, [])
    life.write(day)
    return f"{day} {name} {new_name}"


def a_second_file(life: Life) -> str:
    day, _ = life.some_delivery()
    life.add(day, life.event(day), "second.csv")
    life.write(day)
    return f"{day} {life.events[day]['second.csv']}"


def another_content(life: Life) -> str:
    day, name = life.some_delivery()
    life.events[day][name] = [life.event(day - life.random.choice([0, 0, 2]) * DAY)]
    life.write(day)
    return f"{day} {name} {life.events[day][name]}"


def a_version_of_another_delivery(life: Life) -> str:
    """The same event in a delivery before or after the one that has it, deleted or with other content."""
    identified = [(day, row) for day, row in life.delivered() if row["event_id"]]
    day, row = life.random.choice(identified)
    other = day + life.random.choice([-3, -1, 1, 2, 9]) * DAY
    other = min(max(other, BEGIN), life.today)
    if life.random.random() < 0.4:
        version = {**row, "is_deleted": "true"}
    else:
        at = f"{row['occurred_at'][:10]} {life.random.choice(TIMES)}"
        version = {**life.event(day), "event_id": row["event_id"], "occurred_at": at}
    life.add(other, version, life.random.choice(["part.csv", "versions.csv"]))
    life.write(other)
    return f"{other} {version}"


def an_event_yet_to_come(life: Life) -> str:
    delivered = life.today - life.random.choice([0, 1, 5]) * DAY
    life.add(delivered, life.event(life.today + life.random.choice([1, 1, 2, 4]) * DAY), "early.csv")
    life.write(delivered)
    return f"{delivered} {life.events[delivered]['early.csv']}"


def a_night_owl(life: Life) -> str:
    """One user at work over midnight, whose two days may come in two deliveries."""
    day = life.today - life.random.choice([0, 1, 2, 20]) * DAY
    owner = {"account_id": life.random.choice(ACCOUNTS)}
    same = {"user_id": life.random.choice(USERS) if life.has_users else None, "event_id": None,
            "session_id": life.random.choice([None, None, "s1"])}  # fmt: skip
    for at, delivered in ((f"{day - DAY} 23:45:00", day - DAY), (f"{day} 00:10:00", day)):
        if life.random.random() < 0.8:
            life.add(delivered, {**life.event(day, owner), **same, "occurred_at": at})
            life.write(delivered)
    return f"{day} {owner} {same}"


def a_session_that_comes_back(life: Life) -> str:
    """An id that a user's session had days ago, on one more day."""
    found = [row for _, row in life.delivered() if row["session_id"]]
    row = {**life.random.choice(found or [life.event(life.today)]), "event_id": None}
    day = life.today - life.random.choice([0, 3, 10]) * DAY
    life.add(life.today, {**row, "occurred_at": f"{day} {life.random.choice(TIMES)}"})
    life.write(life.today)
    return f"{day} {row}"


def another_owner(life: Life) -> str:
    """A subscription appears, moves to another account or is gone, from today's snapshot on."""
    subscription = life.random.choice(SUBSCRIPTIONS)
    if subscription in life.owners and len(life.owners) > 1 and life.random.random() < 0.3:
        del life.owners[subscription]
    else:
        life.owners[subscription] = life.random.choice([*ACCOUNTS, "A9"])
    life.deliver_snapshots()
    return f"{subscription} {life.owners.get(subscription)}"


def a_test_or_none(life: Life) -> str:
    """An account becomes a test, or is none any more; the one that was unknown begins as a test."""
    new = {"account_id": "A9", "is_test": "false", "industry": "bank"}
    account = life.accounts.setdefault(life.random.choice([*ACCOUNTS, "A9"]), new)
    account["is_test"] = "false" if account["is_test"] == "true" else "true"
    life.deliver_snapshots()
    return f"{account}"


def other_attributes(life: Life) -> str:
    """A subscription's terms and an account's industry, from today on."""
    terms = {"plan": life.random.choice(["Basic", "Pro"]), "amount": life.random.choice(["100", "150"])}
    life.terms[life.random.choice(SUBSCRIPTIONS)] = terms
    life.random.choice(list(life.accounts.values()))["industry"] = life.random.choice(["retail", "bank", ""])
    life.deliver_snapshots()
    return f"{life.terms} {life.accounts}"


def another_time(life: Life) -> str:
    """A subscription began or ends on another day than it was thought to, is a trial, or has another currency."""
    subscription = life.random.choice(SUBSCRIPTIONS)
    begin = BEGIN + life.random.choice([-300, -5, 0, 30, HISTORY - 10, HISTORY]) * DAY
    end = life.random.choice([None, None, begin + life.random.choice([1, 20, 45]) * DAY, life.today])
    terms = {"start_date": begin, "end_date": end, "product": life.random.choice(["core", "core", "extra"]),
             "currency": life.random.choice(["JPY", "JPY", "USD"]), "amount": life.random.choice(["0", "100", "150"]),
             "is_trial": life.random.choice(["false", "false", "true"])}  # fmt: skip
    life.terms[subscription] = {**life.terms.get(subscription, {}), **terms}
    life.deliver_snapshots()
    return f"{subscription} {life.terms[subscription]}"


def something_of_the_crm(life: Life) -> str:
    """An invoice, a ticket, a response or a rate, that of an earlier delivery again or a new one, of any day."""
    pick = life.random.choice
    day = life.today - pick([0, 0, 1, 3, 30, 60]) * DAY
    number = pick(range(6))
    same = {"account_id": pick([*ACCOUNTS, "A9"]), "is_deleted": pick(["false", "false", "false", "true"])}
    answered, resolved = (pick([None, day, day + 3 * DAY, life.today, life.today + DAY]) for _ in range(2))
    extract, row = pick(
        [
            ("crm/invoices", {"invoice_id": f"I{number}", **same, "issued_at": f"{day} {pick(TIMES)}",
                              "amount": pick([5, 70]), "currency": pick(["JPY", "USD"]),
                              "kind": pick(["one_off", "recurring", "refund"])}),
            ("crm/support_tickets", {"ticket_id": f"T{number}", **same, "created_at": f"{day} 00:00:00",
                                     "first_responded_at": answered and f"{answered} 01:00:00",
                                     "resolved_at": resolved and f"{resolved} 02:00:00"}),
            ("crm/survey_responses", {"response_id": f"R{number}", **same, "contact_id": pick([None, "c", "d"]),
                                      "survey": pick(["nps", "csat"]), "score": pick([1, 5]),
                                      "responded_at": f"{day} {pick(TIMES)}"}),
            ("finance/fx_rates", {"currency": "USD", "rate_date": day, "rate": pick([140, 160])}),
        ]
    )  # fmt: skip
    life.deliver(extract, row)
    return f"{extract} {row}"


def an_account_gone_or_back(life: Life) -> str:
    account = life.random.choice(ACCOUNTS)
    if account in life.accounts:
        del life.accounts[account]
    else:
        life.accounts[account] = {"account_id": account, "is_test": "false", "industry": "bank"}
    life.deliver_snapshots()
    return f"{account} {life.accounts.get(account)}"


def late_snapshots(life: Life) -> str:
    """Snapshots of a day before today, as things are now, or once more of a day that had some."""
    day = FIRST_NIGHT + life.random.randrange((life.today - FIRST_NIGHT).days + 1) * DAY
    life.deliver_snapshots(day)
    return f"{day}"


def a_corrected_snapshot(life: Life) -> str:
    extract, day = life.random.choice(sorted(life.snapshots))
    rows = [dict(row) for row in life.snapshots[extract, day]]
    changed = {"crm/accounts": {"industry": "steel"}, "crm/subscriptions": {"plan": "Max", "amount": "70"}}
    life.random.choice(rows).update(changed[extract])
    life.deliver_snapshot(extract, day, rows)
    return f"{extract} {day} {rows}"


def a_withdrawn_snapshot(life: Life) -> str:
    """One of those that are neither the first nor today's."""
    found = [key for key in sorted(life.snapshots) if FIRST_NIGHT < key[1] < life.today]
    if not found:
        return "there is none"
    extract, day = life.random.choice(found)
    del life.snapshots[extract, day]
    (life.company.settings.landing / extract / day.isoformat() / "part.csv").unlink()
    return f"{extract} {day}"


def users_or_none(life: Life) -> str:
    """Where no row has a user id, one gets one; else all lose theirs."""
    if life.has_users:
        for _, row in life.delivered():
            row["user_id"] = None
        for day in life.events:
            life.write(day)
    else:
        life.add(life.today, {**life.event(life.today), "user_id": "u"})
        life.write(life.today)
    life.has_users = not life.has_users
    return f"{life.has_users}"


def a_look_at_the_past(life: Life) -> str:
    life.as_of = life.today - life.random.choice([0, 1, 1, 2, 4]) * DAY
    life.as_of = max(life.as_of, FIRST_NIGHT)
    return f"{life.as_of}"


def an_archived_day(life: Life) -> str:
    """A date folder leaves landing once it was read; its rows stay."""
    day = life.random.choice(sorted(life.events.keys() - life.unread) or [None])
    if day is None:
        return "none was read"
    folder = life.company.settings.landing / "usage/events" / day.isoformat()
    kept = life.company.home / "archive/usage/events" / day.isoformat()
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept)
    shutil.rmtree(folder)
    del life.events[day]
    return f"{day}"


def other_settings(life: Life) -> str:
    life.settings = life.random.choice([one for one in SETTINGS if one != life.settings])
    return f"{life.settings}"


def _tidy(life: Life, day: dt.date) -> None:
    """Lands what is left of a delivery; of an emptied one the folder stays."""
    life.write(day)
    life.events[day] = {name: rows for name, rows in life.events[day].items() if rows}
    if not life.events[day]:
        del life.events[day]


STEPS: dict[Callable[[Life], str], int] = {
    a_new_day: 8,
    a_late_day: 2,
    a_corrected_file: 4,
    a_dropped_row: 2,
    a_withdrawn_file: 2,
    a_renamed_file: 1,
    a_second_file: 2,
    another_content: 2,
    a_version_of_another_delivery: 5,
    an_event_yet_to_come: 2,
    a_night_owl: 4,
    a_session_that_comes_back: 3,
    another_owner: 3,
    a_test_or_none: 2,
    other_attributes: 3,
    another_time: 3,
    something_of_the_crm: 8,
    an_account_gone_or_back: 1,
    late_snapshots: 1,
    a_corrected_snapshot: 2,
    a_withdrawn_snapshot: 1,
    users_or_none: 1,
    a_look_at_the_past: 3,
    an_archived_day: 1,
    other_settings: 1,
}
