"""The cleaned company: newest rows only, nothing after the as-of date, no test accounts, and its priced items.

Answers the questions every KPI asks: what an account paid on a day, whether it was a customer, its attributes.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .company import Company, Row, Settings
from .money import ZERO, Rates, monthly_amount
from .periods import DAY, Period, periods_between

UNKNOWN = "(unknown)"
ATTRIBUTES = ("industry", "region", "company_size", "owner")
META = ("extract_date", "_order", "_file", "_row")


@dataclass(frozen=True, eq=False)
class Item:
    """One priced period of a subscription; `monthly` is in its own currency, `end` the first day not covered."""

    account: str
    plan: str
    product: str
    quantity: int
    monthly: Decimal
    currency: str | None
    start: dt.date
    end: dt.date | None
    is_trial: bool
    is_free: bool

    @property
    def is_paying(self) -> bool:
        return not self.is_trial and self.monthly > 0

    def covers(self, day: dt.date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)

    def last_day_within(self, first: dt.date, last: dt.date) -> dt.date | None:
        """The last day covered between first and last, both included; None where there is none."""
        begin = max(first, self.start)
        end = last if self.end is None else min(last, self.end - DAY)
        return end if begin <= end else None


class Book:
    """The company as known at the as-of date."""

    def __init__(self, company: Company, settings: Settings, as_of: dt.date) -> None:
        self.settings = settings
        self.as_of = as_of
        self.history = _account_history(company, as_of)
        newest_rows = [rows[-1][1] for rows in self.history.values()]
        self.test_accounts = {row["account_id"] for row in newest_rows if row.get("is_test")}
        self.rates = Rates(newest(company.fx_rates, _by("currency", "rate_date")), settings.reporting_currency)
        subscriptions = [row for row in company.subscriptions if row["account_id"] not in self.test_accounts]
        self.items = _items(row for row in subscriptions if row["start_date"] <= as_of)
        self.paying = {a: [item for item in items if item.is_paying] for a, items in self.items.items()}
        self.paying = {a: items for a, items in self.paying.items() if _first_paid(items) is not None}
        self.first_paid = {a: _first_paid(items) for a, items in self.paying.items()}
        self.converted: dict[tuple[Item, dt.date], Decimal] = {}
        self.invoices = self._usable(company.invoices, _by("invoice_id"), "issued_at")
        self.steps = self._usable(company.onboarding_steps, _by("account_id", "step", "completed_at"), "completed_at")
        self.tickets = self._usable(company.support_tickets, _by("ticket_id"), "created_at")
        self.responses = self._usable(company.survey_responses, _by("response_id"), "responded_at")
        self.events = self._usable(_with_accounts(company), _event_key, "occurred_at")

    def _usable(self, rows: Iterable[Row], key: Callable[[Row], Any], dated_by: str) -> list[Row]:
        return [
            row
            for row in newest(rows, key)
            if row[dated_by].date() <= self.as_of and row.get("account_id") not in self.test_accounts
        ]

    def amount(self, item: Item, rate_day: dt.date) -> Decimal:
        """The item's monthly amount in the reporting currency at the rate of the day."""
        if (item, rate_day) not in self.converted:
            self.converted[item, rate_day] = self.rates.convert(item.monthly, item.currency, rate_day)
        return self.converted[item, rate_day]

    def paying_on(self, account: str | None, day: dt.date) -> list[Item]:
        return [item for item in self.paying.get(account, ()) if item.covers(day)]

    def is_customer(self, account: str | None, day: dt.date) -> bool:
        return any(item.covers(day) for item in self.paying.get(account, ()))

    def mrr(self, account: str | None, day: dt.date, rate_day: dt.date) -> Decimal:
        """The account's MRR at the end of `day`, converted at the rate of `rate_day`."""
        return sum((self.amount(item, rate_day) for item in self.paying_on(account, day)), ZERO)

    def last_paid_day(self, account: str | None, first: dt.date, last: dt.date) -> dt.date | None:
        """The account's last paid day between first and last, both included."""
        return _latest(item.last_day_within(first, last) for item in self.paying.get(account, ()))

    def customers_on(self, day: dt.date) -> list[str]:
        return [account for account in self.paying if self.is_customer(account, day)]

    def attribute(self, account: str | None, name: str, day: dt.date) -> str:
        """The attribute as the newest snapshot up to the day has it; before the account's first one, as that has it."""
        snapshots = self.history.get(account)
        if not snapshots:
            return UNKNOWN
        position = bisect.bisect_right(snapshots, day, key=lambda snapshot: snapshot[0]) - 1
        return snapshots[max(position, 0)][1].get(name) or UNKNOWN

    def main(self, account: str | None, kind: str, period: Period) -> str:
        """The account's main `plan` or `product` in the period (KPI_SPEC section 4)."""
        closing = period.closing(self.as_of)
        decisive = period.opening if self.is_customer(account, period.opening) else closing
        if not self.is_customer(account, decisive):
            decisive = self.last_paid_day(account, period.start, closing)
        if decisive is not None:
            return self.main_on(account, kind, decisive, closing)
        others = [item for item in self.items.get(account, ()) if not item.is_paying]
        trial = _main_of_last_day([item for item in others if item.is_trial], kind, period.start, closing)
        free = _main_of_last_day([item for item in others if item.is_free], kind, period.start, closing)
        return trial or free or UNKNOWN

    def main_on(self, account: str | None, kind: str, day: dt.date, rate_day: dt.date) -> str:
        """The value with the largest MRR on a day on which the account pays; ties alphabetically."""
        sums: dict[str, Decimal] = {}
        for item in self.paying_on(account, day):
            value = getattr(item, kind)
            sums[value] = sums.get(value, ZERO) + self.amount(item, rate_day)
        return min(sums, key=lambda value: (-sums[value], value))

    def periods(self, first: dt.date, grain: str) -> list[Period]:
        """The periods from the one holding `first` to the one holding the as-of date."""
        return list(periods_between(first, self.as_of, grain, self.settings.fiscal_year_start_month))


def newest(rows: Iterable[Row], key: Callable[[Row], Any]) -> list[Row]:
    """The newest row per key: by updated_at (empty is oldest), then extract date, then order; removed ones left out."""
    kept: dict[Any, tuple[tuple, Row]] = {}
    for number, row in enumerate(rows):
        rank = (
            row.get("updated_at") or dt.datetime.min,
            row.get("extract_date") or dt.date.min,
            row.get("_order", number),
        )
        if key(row) not in kept or kept[key(row)][0] <= rank:
            kept[key(row)] = (rank, row)
    return [row for _, row in kept.values() if not row.get("is_deleted")]


def _by(*columns: str) -> Callable[[Row], tuple]:
    return lambda row: tuple(row[column] for column in columns)


def _event_key(row: Row) -> tuple:
    if row.get("event_id") is not None:
        return (row["occurred_at"].date(), row["event_id"])
    return tuple(sorted((name, repr(value)) for name, value in row.items() if name not in META))


def _account_history(company: Company, as_of: dt.date) -> dict[str, list[tuple[dt.date, Row]]]:
    history: dict[str, list[tuple[dt.date, Row]]] = {}
    for extract_date in sorted(company.accounts):
        for row in company.accounts[extract_date] if extract_date <= as_of else ():
            history.setdefault(row["account_id"], []).append((extract_date, row))
    return history


def _items(rows: Iterable[Row]) -> dict[str, list[Item]]:
    items: dict[str, list[Item]] = {}
    for row in rows:
        is_recurring = row.get("billing_interval") != "one_off"
        is_trial = bool(row.get("is_trial"))
        monthly = monthly_amount(row)
        item = Item(
            account=row["account_id"],
            plan=row.get("plan") or UNKNOWN,
            product=row.get("product") or UNKNOWN,
            quantity=row.get("quantity") or 0,
            monthly=monthly,
            currency=row.get("currency"),
            start=row["start_date"],
            end=row.get("end_date"),
            is_trial=is_trial,
            is_free=is_recurring and not is_trial and monthly == 0,
        )
        items.setdefault(item.account, []).append(item)
    return items


def _with_accounts(company: Company) -> Iterator[Row]:
    """The events with the account of their subscription where they name none themselves."""
    owners: dict[str, str] = {}
    for row in company.subscriptions:
        owner = owners.get(row["subscription_id"], row["account_id"])
        owners[row["subscription_id"]] = min(owner, row["account_id"])
    for row in company.events:
        account = row.get("account_id")
        yield {**row, "account_id": owners.get(row.get("subscription_id")) if account is None else account}


def _first_paid(items: list[Item]) -> dt.date | None:
    starts = [item.start for item in items if item.end is None or item.start < item.end]
    return min(starts, default=None)


def _latest(days: Iterable[dt.date | None]) -> dt.date | None:
    return max((day for day in days if day is not None), default=None)


def _main_of_last_day(items: list[Item], kind: str, first: dt.date, last: dt.date) -> str | None:
    """The alphabetically first value of the items covering the latest day that any of them covers."""
    day = _latest(item.last_day_within(first, last) for item in items)
    return min((getattr(item, kind) for item in items if day is not None and item.covers(day)), default=None)
