"""What real exports get wrong: extra rows that end in quarantine, and subscriptions of unknown accounts.

Dirt is only ever added, on keys of its own, so the company without it publishes the same figures but
for the unknown accounts. A delivery holds at most one dirty row in `CLEAN_PER_DIRTY`, small ones none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, islice

from dagster_project.sample.lives import Life, Period
from dagster_project.sample.records import Row, subscription_row

CLEAN_PER_DIRTY = 150
ACCOUNTS_PER_UNKNOWN = 150


def _two_contents(row: Row) -> list[Row]:
    return [row, {**row, "quantity": row["quantity"] + 1}]


SUBSCRIPTION_DIRT: tuple[Callable[[Row], list[Row]], ...] = (
    lambda row: [{**row, "amount": f"{row['amount']}円"}],
    lambda row: [{**row, "start_date": "2025-02-30"}],
    lambda row: [{**row, "end_date": "1999-12-31"}],
    lambda row: [{**row, "amount": "-12000"}],
    _two_contents,
)
DELTA_DIRT: dict[str, tuple[str, tuple[Callable[[Row], Row], ...]]] = {
    "invoices": (
        "invoice_id",
        (
            lambda row: {**row, "amount": "12,O00 JPY"},
            lambda row: {**row, "amount": -5000, "kind": "recurring"},
            lambda row: {**row, "issued_at": "2025-02-30 10:00:00"},
        ),
    ),
    "onboarding_steps": ("step", (lambda row: {**row, "completed_at": "tomorrow"},)),
    "support_tickets": ("ticket_id", (lambda row: {**row, "resolved_at": "2001-01-01 00:00:00"},)),
    "survey_responses": ("response_id", (lambda row: {**row, "survey": "nps", "score": 11},)),
}


def _first_paying_periods(lives: list[Life]) -> Iterator[Period]:
    """The first paying period of each account that has one."""
    for life in lives:
        paying = (p for p in life.periods if p.amount > 0 and not p.is_trial and not p.is_one_off)
        yield from islice(paying, 1)


def unknown_account_periods(lives: list[Life]) -> list[Period]:
    """Priced periods under account ids that crm/accounts never delivers."""
    models = islice(_first_paying_periods(lives), len(lives) // ACCOUNTS_PER_UNKNOWN)
    return [
        replace(p, subscription_id=f"SUB-U{number:04d}", account_id=f"ACC-U{number:04d}", end=None, end_known=None)
        for number, p in enumerate(models, start=1)
    ]


def dirty_subscriptions(lives: list[Life], day: int, clean_rows: int) -> list[Row]:
    """Broken rows for the snapshot of that day; a row once delivered stays in all later snapshots."""
    budget = clean_rows // CLEAN_PER_DIRTY
    rows: list[Row] = []
    models = zip(_first_paying_periods(lives), cycle(SUBSCRIPTION_DIRT), strict=False)
    for number, (model, spoil) in enumerate(models, start=1):
        if len(rows) + 2 > budget:
            break
        row = {**subscription_row(model, day), "subscription_id": f"SUB-X{number:04d}", "end_date": None}
        rows += spoil(row)
    return rows


def dirty_delta_rows(extract: str, rows: list[Row], delivery: int) -> list[Row]:
    """Broken copies of some rows of one delivery of a delta, under keys of their own."""
    if extract not in DELTA_DIRT:
        return []
    key, spoils = DELTA_DIRT[extract]
    models = rows[::CLEAN_PER_DIRTY][: len(rows) // CLEAN_PER_DIRTY]
    chosen = islice(cycle(spoils), delivery % len(spoils), None)
    return [
        spoil({**row, key: f"X-{delivery:03d}-{number:03d}"})
        for number, (row, spoil) in enumerate(zip(models, chosen, strict=False), start=1)
    ]
