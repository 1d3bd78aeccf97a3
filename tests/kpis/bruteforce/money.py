"""Exact money: the monthly amount of a priced period, rates, conversion and rounding. No floats."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction

from .company import Row

PLACES = Decimal("0.0001")
ZERO = Decimal("0.0000")
EXACT = Context(prec=60)
RATE_AGE = dt.timedelta(days=10)
MONTHS_OF_INTERVAL = {
    "day": Fraction(12, 365),
    "week": Fraction(12, 52),
    "month": Fraction(1),
    "quarter": Fraction(3),
    "half_year": Fraction(6),
    "year": Fraction(12),
}


class MissingRate(Exception):
    """An amount in another currency has no rate of its day, nor of the ten days before it."""


def rounded(value: Fraction | Decimal) -> Decimal:
    """The value at 4 decimals, halves away from zero, decided exactly."""
    exact = Fraction(value) * 10_000
    units, rest = divmod(abs(exact.numerator), exact.denominator)
    units += 2 * rest >= exact.denominator
    return (Decimal(units if exact >= 0 else -units) * PLACES).quantize(PLACES, context=EXACT)


def monthly_amount(row: Row) -> Decimal:
    """What the priced period brings per month in its own currency; 0 for one-off charges.

    An empty interval means month, an empty count 1.
    """
    interval = row.get("billing_interval") or "month"
    if interval == "one_off":
        return ZERO
    months = MONTHS_OF_INTERVAL[interval] * (row.get("billing_interval_count") or 1)
    return rounded(Fraction(row["amount"]) / months)


class Rates:
    """Converts to the reporting currency at the rate of a day."""

    def __init__(self, rows: Iterable[Row], reporting_currency: str) -> None:
        self.reporting_currency = reporting_currency
        self.by_currency: dict[str, list[tuple[dt.date, Decimal]]] = {}
        for row in rows:
            self.by_currency.setdefault(row["currency"], []).append((row["rate_date"], row["rate"]))
        for known in self.by_currency.values():
            known.sort()
        self.found: dict[tuple[str, dt.date], Fraction] = {}

    def rate(self, currency: str, day: dt.date) -> Fraction:
        """The latest rate on or before the day, at most ten days old. Raises MissingRate otherwise."""
        if (currency, day) not in self.found:
            self.found[currency, day] = self._search(currency, day)
        return self.found[currency, day]

    def _search(self, currency: str, day: dt.date) -> Fraction:
        known = self.by_currency.get(currency, [])
        position = bisect.bisect_right([rate_date for rate_date, _ in known], day) - 1
        if position < 0 or day - known[position][0] > RATE_AGE:
            found = f"the latest before it is of {known[position][0]}" if position >= 0 else "none on or before it"
            raise MissingRate(
                f"no rate of {currency} for {day}: {found}; expected one at most {RATE_AGE.days} days old; "
                "deliver finance/fx_rates for it"
            )
        return Fraction(known[position][1])

    def convert(self, amount: Decimal, currency: str | None, day: dt.date) -> Decimal:
        """The amount in the reporting currency, rounded to 4 decimals; no rate is needed for that currency itself."""
        if currency is None or currency == self.reporting_currency:
            return rounded(amount)
        return rounded(Fraction(amount) * self.rate(currency, day))
