"""Hypothesis strategies: small companies as their lake holds them, at the edges where a figure could go wrong.

Every company is valid input: what the contracts would quarantine (ends before starts, negative durations) is never
drawn, and of a key that stands twice in one delivery the row is left that ingestion leaves. Timestamps are UTC moments
shown on the wall clock of a time zone with daylight saving. No KPI logic here, except `as_company`, which hands a lake
to the brute force.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from bruteforce import Company
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Row = dict[str, Any]
Lake = dict[str, list[Row]]

ZONE = ZoneInfo("Europe/Berlin")
DAY = dt.timedelta(days=1)
FIRST, LAST = dt.date(2022, 11, 15), dt.date(2024, 7, 20)
EDGES = [
    dt.date.fromisoformat(day)
    for day in ("2022-12-31", "2023-01-01", "2023-02-28", "2023-03-31", "2023-04-01", "2023-05-31", "2023-06-30",
                "2023-10-29", "2023-12-31", "2024-01-01", "2024-01-31", "2024-02-28", "2024-02-29", "2024-03-01",
                "2024-03-31", "2024-04-01", "2024-04-30", "2024-05-31", "2024-06-01", "2024-06-15", "2024-06-30")
]  # fmt: skip
AS_OF_DAYS = [
    dt.date(2024, 6, 15),
    dt.date(2024, 6, 30),
    dt.date(2024, 2, 29),
    dt.date(2024, 3, 31),
    dt.date(2023, 5, 1),
]
DELIVERY_DAYS = [dt.date.fromisoformat(day) for day in ("2023-01-31", "2023-04-01", "2023-12-15", "2024-02-29")]
# 22:00 and 23:00 UTC are midnight, and 01:00 UTC the hour in which the clocks change
TIMES = [
    dt.time(22),
    dt.time(21, 59, 59, 999999),
    dt.time(23),
    dt.time(22, 59, 59),
    dt.time(0, 30),
    dt.time(1),
    dt.time(12),
]
MINUTES = [0, 1, 29, 30, 31, 59, 24 * 60]
ACCOUNTS = [f"A{n}" for n in range(6)]  # the last one is never in a snapshot of the accounts
PLANS, PRODUCTS = ["basic", "pro", None], ["core", "mail", None]
AMOUNTS = [Decimal(text) for text in ("0", "10", "100", "30", "99.99", "33.333333", "0.000001", "1234567.891", "12")]
INTERVALS = ["month", "year", "quarter", "half_year", "week", "day", "one_off", None]
CURRENCIES = [None, "EUR", "USD", "GBP"]
STEPS = ["kickoff", "import", "elsewhere"]
EVENTS = ["login", "export", None]
# what several companies in one lake may not share
OWN = ["account_id", "subscription_id", "ticket_id", "invoice_id", "response_id", "contact_id", "event_id", "region"]
RATES = [Decimal(text) for text in ("1", "0.85", "1.234567", "150.5")]

days = st.sampled_from(EDGES) | st.dates(FIRST, LAST)
lengths = st.sampled_from([0, 1, 1, 2, 14, 30, 31, 90, 365]) | st.integers(0, 400)
delivered = st.sampled_from(DELIVERY_DAYS)
accounts = st.sampled_from(ACCOUNTS)


@dataclass(frozen=True, repr=False)
class Example:
    """A company, the day as of which it is looked at, and what a property does to it."""

    lake: Lake
    as_of: dt.date
    changes: tuple[Callable[[Example], Example], ...] = ()

    def __repr__(self) -> str:
        """What a reader needs of a failing example: no empty cells, and of the rates only the first few."""
        shown = [f"as of {self.as_of}", *(f"  {change.__name__}" for change in self.changes)]
        for extract, delivered_rows in self.lake.items():
            for row in delivered_rows[:5] if extract == "fx_rates" else delivered_rows:
                cells = (f"{name}={value}" for name, value in row.items() if value is not None and name[0] != "_")
                shown.append(f"  {extract}: {', '.join(cells)}")
        return "\n".join(shown)

    def with_lake(self, lake: Lake) -> Example:
        return replace(self, lake=lake)


def wall_clock(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC).astimezone(ZONE).replace(tzinfo=None)


moments = st.builds(lambda day, time: wall_clock(dt.datetime.combine(day, time)), days, st.sampled_from(TIMES))
later = st.sampled_from([dt.timedelta(minutes=m) for m in MINUTES]) | st.timedeltas(dt.timedelta(0), 40 * DAY)


def rows(limit: int, **columns: st.SearchStrategy) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.fixed_dictionaries(columns), max_size=limit)


@st.composite
def lives(draw: st.DrawFn, number: int) -> list[Row]:
    """A subscription as one to four priced periods, each beginning where the last one ended or after a gap."""
    fixed = {
        "subscription_id": f"S{number}",
        "account_id": draw(accounts),
        "currency": draw(st.sampled_from(CURRENCIES)),
        "product": draw(st.sampled_from(PRODUCTS)),
    }
    start, periods = draw(days), {}
    for position in range(draw(st.integers(1, 4))):
        length = draw(st.none() | lengths)
        periods[start] = {
            **fixed,
            "plan": draw(st.sampled_from(PLANS)),
            "quantity": draw(st.sampled_from([1, 0, 3, None])),
            "amount": draw(st.sampled_from(AMOUNTS)),
            "billing_interval": draw(st.sampled_from(INTERVALS)),
            "billing_interval_count": draw(st.sampled_from([1, None, 2, 3])),
            "start_date": start,
            "end_date": None if length is None else start + length * DAY,
            "is_trial": draw(st.sampled_from([False, None, True] if position == 0 else [False, False, False, True])),
        }
        if length is None:
            break
        start += (length + draw(st.sampled_from([0, 0, 1, 20]))) * DAY
    return list(periods.values())


@st.composite
def account_snapshots(draw: st.DrawFn) -> list[Row]:
    """Accounts as one to four deliveries have them: some are missing from some, and attributes change."""
    attributes = st.fixed_dictionaries(
        {
            "account_name": st.just("name"),
            "industry": st.sampled_from(["retail", "bank", None]),
            "region": st.sampled_from(["north", "south"]),
            "company_size": st.sampled_from(["small", None]),
            "owner": st.sampled_from(["ann", "ben"]),
            "created_at": st.none() | moments,
            "is_test": st.sampled_from([False, False, False, None, True]),
            "community_touch": st.sampled_from([None, True]),
        }
    )
    found = []
    for day in sorted(draw(st.sets(delivered, min_size=1))):
        for account in draw(st.lists(st.sampled_from(ACCOUNTS[:-1]), unique=True)):
            found.append({"account_id": account, **draw(attributes), "extract_date": day})
    return found


@st.composite
def subscription_snapshots(draw: st.DrawFn) -> list[Row]:
    """The newest snapshot, and perhaps an older one that says something else."""
    newest = [row for number in range(draw(st.integers(0, 7))) for row in draw(lives(number))]
    older = draw(st.lists(st.sampled_from(newest), unique_by=id)) if newest else []
    return [
        *({**row, "amount": Decimal(7), "extract_date": DELIVERY_DAYS[0]} for row in older),
        *({**row, "extract_date": DELIVERY_DAYS[1]} for row in newest),
    ]


@st.composite
def tickets(draw: st.DrawFn) -> list[Row]:
    found = draw(
        rows(6, ticket_id=st.sampled_from("TUVWX"), account_id=st.none() | accounts, created_at=moments,
             updated_at=st.none() | moments, extract_date=delivered,
             is_deleted=st.sampled_from([False, False, None, True]))
    )  # fmt: skip
    for row in found:
        for name in ("first_responded_at", "resolved_at"):
            after = draw(st.none() | later)
            row[name] = None if after is None else row["created_at"] + after
    return found


@st.composite
def bursts(draw: st.DrawFn) -> list[Row]:
    """Events of one user minutes apart, around the gap that ends a session."""
    moment, found = draw(moments), []
    owner = draw(
        st.fixed_dictionaries(
            {"account_id": accounts, "user_id": st.sampled_from(["u", "v", None])}
        ) | st.fixed_dictionaries(
            {"subscription_id": st.sampled_from(["S0", "S1", "S99"]), "user_id": st.just("w"),
             "account_id": st.sampled_from([None, None, *ACCOUNTS[:2]])}
        )
    )  # fmt: skip
    for minutes in draw(st.lists(st.sampled_from(MINUTES), min_size=1, max_size=4)):
        moment += dt.timedelta(minutes=minutes)
        found.append(
            {
                **owner,
                "event_id": draw(st.none() | st.sampled_from(["e1", "e2", "e3", "e4"])),
                "event_name": draw(st.sampled_from(EVENTS)),
                "session_id": draw(st.sampled_from([None, None, "s1"])),
                "duration_seconds": draw(st.sampled_from([None, Decimal("0"), Decimal("61.5")])),
                "occurred_at": moment,
                "extract_date": draw(delivered),
                "is_deleted": draw(st.sampled_from([False, False, False, True])),
            }
        )
    return found


@st.composite
def fx_rates(draw: st.DrawFn) -> list[Row]:
    """A rate for every tenth day, so that no day is without one; the reporting currency needs none."""
    cycle = draw(st.lists(st.sampled_from(RATES), min_size=1, max_size=5))
    span = range(0, (LAST - FIRST).days + 40, 10)
    return [
        {"currency": currency, "rate_date": FIRST - 40 * DAY + n * DAY, "rate": cycle[(n // 10 + turn) % len(cycle)],
         "extract_date": DELIVERY_DAYS[0]}
        for turn, currency in enumerate(("USD", "GBP"))
        for n in span
    ]  # fmt: skip


NO_CHANGES = st.just(())
TRIES = 250  # to make a failing example smaller: a minute or two
deleted = st.sampled_from([False, False, False, None, True])


@st.composite
def companies(draw: st.DrawFn) -> Lake:
    """A company of up to six accounts and everything they do."""
    return {
        "accounts": draw(account_snapshots()),
        "subscriptions": draw(subscription_snapshots()),
        "invoices": draw(
            rows(5, invoice_id=st.sampled_from("IJKLM"), account_id=accounts, issued_at=moments,
                 amount=st.sampled_from(AMOUNTS), currency=st.sampled_from(CURRENCIES),
                 kind=st.sampled_from([None, "recurring", "one_off", "refund"]), extract_date=delivered,
                 is_deleted=deleted)
        ),
        "onboarding_steps": draw(
            rows(5, account_id=accounts, step=st.sampled_from(STEPS), completed_at=moments, extract_date=delivered,
                 is_deleted=deleted)
        ),
        "support_tickets": draw(tickets()),
        "survey_responses": draw(
            rows(6, response_id=st.sampled_from("NOPQRST"), account_id=st.none() | accounts,
                 contact_id=st.sampled_from([None, "c", "d"]), survey=st.just("nps"),
                 topic=st.none() | st.just("support"),
                 score=st.integers(0, 10).map(Decimal), responded_at=moments, extract_date=delivered,
                 is_deleted=deleted)
        ) + draw(
            rows(4, response_id=st.sampled_from("abcd"), account_id=st.none() | accounts,
                 survey=st.sampled_from(["csat", None]),
                 score=st.sampled_from([Decimal(text) for text in ("1", "3.999999", "4", "5", "2.5")]),
                 responded_at=moments, extract_date=delivered, is_deleted=deleted)
        ),
        "events": [row for burst in draw(st.lists(bursts(), max_size=4)) for row in burst],
    }  # fmt: skip


@st.composite
def examples(draw: st.DrawFn, together: int, changes: st.SearchStrategy) -> Example:
    """As many companies as `together` says, as one; they share exchange rates and the as-of date."""
    drawn = [draw(companies()) for _ in range(together)]
    one = drawn[0] if together == 1 else side_by_side(drawn)
    lake = as_ingested(numbered({**one, "fx_rates": draw(fx_rates())}))
    return Example(lake, draw(st.sampled_from(AS_OF_DAYS)), tuple(draw(changes)))


def side_by_side(lakes: list[Lake]) -> Lake:
    """One lake of several, each with identifiers and regions of its own."""

    def own(row: Row, number: int) -> Row:
        return {**row, **{name: f"{number}{row[name]}" for name in OWN if row.get(name) is not None}}

    return {name: [own(row, n) for n, lake in enumerate(lakes) for row in lake[name]] for name in lakes[0]}


def search(
    check: Callable[[Example], None], count: int, together: int = 1, changes: st.SearchStrategy = NO_CHANGES
) -> None:
    """Tries `check` on `count` companies, `together` of them at a time, the same ones every time.

    Raises what the first failing one raises, once it has been made smaller in so many TRIES, with that example as a
    note.
    """
    failing: list[Example] = []
    effort = settings(
        max_examples=count // together + 1,  # Hypothesis begins with the company that does nothing
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a run is too slow for its way of shrinking
    )

    @effort
    @given(examples(together, changes))
    def each(example: Example) -> None:
        if not failing and failure_of(check, example):
            failing.append(example)

    each()
    if failing:
        kind = type(failure_of(check, failing[0]))
        smallest = shrunk(failing[0], lambda smaller: type(failure_of(check, smaller)) is kind)
        failure = failure_of(check, smallest)
        failure.add_note(f"failing example: {smallest!r}")
        raise failure


def failure_of(check: Callable[[Example], None], example: Example) -> Exception | None:
    try:
        check(example)
    except Exception as failure:
        return failure
    return None


def shrunk(example: Example, fails: Callable[[Example], bool], tries: int = TRIES) -> Example:
    """A part of the example that still fails: fewer changes, and fewer rows. Its rates stay, each day needs one."""
    left = iter(range(tries))
    example = replace(example, changes=_fewest(example.changes, lambda c: fails(replace(example, changes=c)), left))
    kept = {"fx_rates": example.lake.get("fx_rates", [])}
    units = [(name, row) for name, found in example.lake.items() if name not in kept for row in found]
    units.sort(key=lambda unit: _company_of(unit[1]))

    def with_rows(some: Sequence[tuple[str, Row]]) -> Example:
        return example.with_lake({n: [row for name, row in some if name == n] for n in example.lake} | kept)

    return with_rows(_fewest(units, lambda some: fails(with_rows(some)), left))


def _fewest(units: Sequence[Any], fails: Callable[[Sequence[Any]], bool], left: Iterator[int]) -> Sequence[Any]:
    """What is left of the units when halves, quarters, ... and single ones were left out as long as it fails."""
    size = len(units)
    while size := size // 2 if size > 1 else 0:
        start = 0
        while start < len(units) and next(left, None) is not None:
            fewer = [*units[:start], *units[start + size :]]
            if fails(fewer):
                units = fewer
            else:
                start += size
    return units


def _company_of(row: Row) -> str:
    """Rows of one company of several stand together, so that a half is some of the companies."""
    return next((str(row[name]) for name in OWN if row.get(name) is not None), "")[:1]


def numbered(lake: Lake) -> Lake:
    """Every row with the place it has in its delivery's file."""
    return {
        extract: [{**row, "_file": "part.csv", "_row": number} for number, row in enumerate(given, 1)]
        for extract, given in lake.items()
    }


def as_ingested(lake: Lake) -> Lake:
    """Without what ingestion supersedes: of a delta's key in one delivery the newest row stays, else the last line."""
    return {name: once_per_delivery(rows, KEYS[name]) if name in KEYS else rows for name, rows in lake.items()}


def once_per_delivery(rows: list[Row], key: Callable[[Row], Any]) -> list[Row]:
    newest: dict[Any, Row] = {}
    for row in rows:
        rival = newest.get((row["extract_date"], key(row)))
        if rival is None or _age(rival) <= _age(row):
            newest[row["extract_date"], key(row)] = row
    kept = {id(row) for row in newest.values()}
    return [row for row in rows if id(row) in kept]


def _age(row: Row) -> tuple:
    return row.get("updated_at") or dt.datetime.min, row["_file"], row["_row"]


def _event(row: Row) -> tuple:
    """The key of an event: without an id it is the whole row."""
    if row.get("event_id") is not None:
        return row["occurred_at"].date(), row["event_id"]
    return tuple(sorted((name, str(value)) for name, value in row.items() if name[0] != "_"))


KEYS: dict[str, Callable[[Row], Any]] = {
    "invoices": itemgetter("invoice_id"),
    "onboarding_steps": itemgetter("account_id", "step", "completed_at"),
    "support_tickets": itemgetter("ticket_id"),
    "survey_responses": itemgetter("response_id"),
    "events": _event,
    "fx_rates": itemgetter("currency", "rate_date"),
}


def with_a_rate_of(rate_date: str | None) -> Example:
    """As of 2024-03-31, 100 dollars a month from 2024-03-05 on, and at most one exchange rate."""
    delivered = {"extract_date": dt.date(2024, 3, 31), "currency": "USD"}
    subscription = {"subscription_id": "S0", "account_id": "A0", "amount": 100, "start_date": dt.date(2024, 3, 5)}
    rates = [{"rate_date": dt.date.fromisoformat(rate_date), "rate": Decimal("0.9")}] if rate_date else []
    lake = {"subscriptions": [{**subscription, **delivered}], "fx_rates": [{**rate, **delivered} for rate in rates]}
    return Example(numbered(lake), delivered["extract_date"])


def as_company(lake: Lake, as_of: dt.date) -> Company:
    """What the brute force reads: account snapshots by date, the newest subscriptions, deltas in order of delivery."""
    known = {extract: [row for row in given if row["extract_date"] <= as_of] for extract, given in lake.items()}
    snapshots: dict[dt.date, list[Row]] = {}
    for row in known.pop("accounts", []):
        snapshots.setdefault(row["extract_date"], []).append(row)
    newest = max((row["extract_date"] for row in known.get("subscriptions", [])), default=None)
    subscriptions = [row for row in known.pop("subscriptions", []) if row["extract_date"] == newest]
    deltas = {
        extract: [{**row, "_order": order} for order, row in enumerate(sorted(given, key=_delivery_order))]
        for extract, given in known.items()
    }
    return Company(snapshots, subscriptions, **deltas)


def _delivery_order(row: Row) -> tuple:
    return row["extract_date"], row["_file"], row["_row"]
