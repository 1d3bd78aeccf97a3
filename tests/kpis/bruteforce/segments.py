"""Which segment an account belongs to in a period, on a day, and by its touch tier. No KPI formulas."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import TypeVar

from .book import ATTRIBUTES, UNKNOWN, Book
from .periods import Period

Segment = tuple[str, str]
Thing = TypeVar("Thing")
TOTAL: Segment = ("total", "all")


class Segments:
    """The seven segment values of accounts, with touch tiers ranked as the past then knew them."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.in_period = cache(self._in_period)
        self.on_day = cache(self._on_day)
        self.expected_ltv = cache(self._expected_ltv)
        self.tiers = cache(self._tiers)
        self.churn_by_plan = cache(self._churn_by_plan)
        first = min(book.first_paid.values(), default=None)
        self.months = [] if first is None else book.periods(first, "month")

    def _in_period(self, account: str | None, period: Period) -> dict[str, str]:
        """The account's segments in the period, by dimension: at opening for customers then, else at closing."""
        book, closing = self.book, period.closing(self.book.as_of)
        day = period.opening if book.is_customer(account, period.opening) else closing
        values = {name: book.attribute(account, name, day) for name in ATTRIBUTES}
        values["plan"] = book.main(account, "plan", period)
        values["product"] = book.main(account, "product", period)
        values["touch_tier"] = self.tiers(day).get(account, UNKNOWN)
        return values

    def _on_day(self, account: str, day: dt.date, rate_day: dt.date) -> dict[str, str]:
        """The segments of a customer of the day; its main plan and product by amounts at the rate of `rate_day`."""
        values = {name: self.book.attribute(account, name, day) for name in ATTRIBUTES}
        values["plan"] = self.book.main_on(account, "plan", day, rate_day)
        values["product"] = self.book.main_on(account, "product", day, rate_day)
        values["touch_tier"] = self.tiers(day)[account]
        return values

    def published(self, values: dict[str, str]) -> list[Segment]:
        """The total and the chosen dimensions of one account's segment values."""
        return [TOTAL, *((name, values[name]) for name in self.book.settings.segment_dimensions)]

    def window(self, day: dt.date) -> list[Period]:
        """The last 12 complete months ending on or before the day; fewer where history is shorter."""
        return [month for month in self.months if month.end <= day][-12:]

    def _churn_by_plan(self, month: Period) -> dict[str, tuple[int, int]]:
        """Customers at opening and how many of them churned in the complete month, by main plan."""
        counts: dict[str, tuple[int, int]] = {}
        for account in self.book.customers_on(month.opening):
            plan = self.book.main(account, "plan", month)
            opening, churned = counts.get(plan, (0, 0))
            counts[plan] = (opening + 1, churned + (not self.book.is_customer(account, month.end)))
        return counts

    def _lifetimes(self, day: dt.date) -> tuple[dict[str, Fraction], Fraction]:
        """Average lifetime in months of each plan with a sample of its own, and of all others."""
        pooled: dict[str, list[int]] = {}
        for month in self.window(day):
            for plan, (opening, churned) in self.churn_by_plan(month).items():
                sums = pooled.setdefault(plan, [0, 0])
                sums[0] += opening
                sums[1] += churned
        opening = sum(sums[0] for sums in pooled.values())
        churned = sum(sums[1] for sums in pooled.values())
        own = {plan: Fraction(o, c) for plan, (o, c) in pooled.items() if c and o >= self.book.settings.small_sample}
        return own, Fraction(opening, churned) if churned else Fraction(1)

    def _expected_ltv(self, day: dt.date) -> dict[str, Fraction]:
        """Expected LTV of every customer of the day."""
        own, general = self._lifetimes(day)
        return {
            account: Fraction(self.book.mrr(account, day, day))
            * self.book.settings.gross_margin
            * own.get(self.book.main_on(account, "plan", day, day), general)
            for account in self.book.customers_on(day)
        }

    def _tiers(self, day: dt.date) -> dict[str, str]:
        """The touch tier of every customer of the day."""
        settings, expected = self.book.settings, self.expected_ltv(day)
        if settings.high_touch_amount is not None:
            return {account: self._tier_by_amount(value) for account, value in expected.items()}
        ranked = sorted(expected, key=lambda account: (-expected[account], self.book.first_paid[account], account))
        high = math.ceil(settings.high_touch_share * len(ranked))
        low = math.ceil(settings.low_touch_share * len(ranked))
        return {
            account: "high_touch" if place < high else "low_touch" if place < low else "tech_touch"
            for place, account in enumerate(ranked)
        }

    def _tier_by_amount(self, expected: Fraction) -> str:
        if expected >= self.book.settings.high_touch_amount:
            return "high_touch"
        return "low_touch" if expected >= self.book.settings.low_touch_amount else "tech_touch"


def grouped(pairs: Iterable[tuple[Iterable[Segment], Thing]]) -> dict[Segment, list[Thing]]:
    """Things by each of their segments."""
    groups: dict[Segment, list[Thing]] = {}
    for segments, thing in pairs:
        for segment in segments:
            groups.setdefault(segment, []).append(thing)
    return groups


def key_columns(period: Period, segment: Segment, as_of: dt.date) -> dict[str, object]:
    """The key of a KPI table's row."""
    return {
        "grain": period.grain,
        "period_start": period.start,
        "period_end": period.end,
        "period_label": period.label,
        "is_complete": period.is_complete(as_of),
        "segment_dimension": segment[0],
        "segment_value": segment[1],
    }


def cells(periods: Iterable[Period], segments: Iterable[Segment]) -> Iterator[tuple[Period, Segment]]:
    """Every period with every segment ever seen: the gap-free grid of a KPI table."""
    ordered = sorted(set(segments))
    return ((period, segment) for period in periods for segment in ordered)
