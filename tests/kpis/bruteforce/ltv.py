"""LTV: kpi_ltv (expected, purchase-based and realised) and fct_account_ltv."""

from __future__ import annotations

import bisect
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, cached_property

from .book import Book
from .company import Row
from .money import ZERO, rounded
from .periods import DAY, GRAINS, Period, first_of_month
from .revenue import Movement, Revenue
from .segments import Segment, Segments, cells, grouped, key_columns


@dataclass(frozen=True)
class Payment:
    """One invoice in the reporting currency, as issued; a refund is negative."""

    account: str
    day: dt.date
    amount: Decimal
    is_refund: bool


@dataclass(frozen=True)
class Purchases:
    """What one account bought in a window."""

    account: str
    count: int
    amount: Decimal


class Payments:
    """All invoices, in the reporting currency at the rate of the issue date."""

    def __init__(self, book: Book) -> None:
        self.all = sorted((_payment(book, row) for row in book.invoices), key=lambda payment: payment.day)
        self.by_account: dict[str, list[Payment]] = {}
        for payment in self.all:
            self.by_account.setdefault(payment.account, []).append(payment)
        self.purchases_between = cache(self._purchases_between)

    @cached_property
    def first_purchase(self) -> dt.date | None:
        return min((payment.day for payment in self.all if not payment.is_refund), default=None)

    def paid_until(self, account: str, day: dt.date) -> Decimal:
        """What the account has paid up to the day, refunds subtracted."""
        payments = self.by_account.get(account, [])
        position = bisect.bisect_right(payments, day, key=lambda payment: payment.day)
        return sum((payment.amount for payment in payments[:position]), ZERO)

    def _purchases_between(self, first: dt.date, last: dt.date) -> list[Purchases]:
        """Purchases without refunds, per account that made any."""
        bought: dict[str, list[Decimal]] = {}
        for payment in self.all:
            if first <= payment.day <= last and not payment.is_refund:
                bought.setdefault(payment.account, []).append(payment.amount)
        return [Purchases(account, len(amounts), sum(amounts, ZERO)) for account, amounts in bought.items()]


class LifetimeValue:
    """kpi_ltv in every grain and segment; with no paying subscription at all, from purchases alone."""

    def __init__(self, book: Book, segments: Segments, revenue: Revenue, payments: Payments) -> None:
        self.book, self.segments, self.revenue, self.payments = book, segments, revenue, payments
        self.has_subscriptions = bool(revenue.periods)
        first = payments.first_purchase
        self.periods, self.months = revenue.periods, segments.months
        if not self.has_subscriptions and first is not None:
            self.periods = [period for grain in GRAINS for period in book.periods(first, grain)]
            self.months = [period for period in self.periods if period.grain == "month"]
        self.buyers = cache(self._buyers)
        self.pooled_churn = cache(self._pooled_churn)

    def window(self, period: Period) -> list[Period]:
        """The last 12 complete months ending on or before the period's measuring day."""
        return [month for month in self.months if month.end <= period.closing(self.book.as_of)][-12:]

    def _buyers(self, period: Period, *, prior: bool = False) -> dict[Segment, list[Purchases]]:
        """Purchases in the period's window, or in the 12 months before it, by the buyers' segments in the period."""
        months = self.window(period)
        if not months or (prior and len(months) < 12):
            return {}
        first, last = months[0].start, months[-1].end
        if prior:
            first, last = first_of_month(first, -12), first - DAY
        return grouped(
            (self.segments.published(self.segments.in_period(p.account, period)), p)
            for p in self.payments.purchases_between(first, last)
        )

    def _pooled_churn(self, last_month: Period) -> dict[Segment, tuple[int, int]]:
        """Customers at opening and churned customers, summed over the window ending with the month, by segment."""
        pooled: dict[Segment, tuple[int, int]] = {}
        for month in self.window(last_month):
            for segment, movements in self.revenue.by_segment(month).items():
                opening, churned = pooled.get(segment, (0, 0))
                opening += sum(m.opening > 0 for m in movements)
                churned += sum(m.kind == "churn" for m in movements)
                pooled[segment] = (opening, churned)
        return pooled

    def lifetime_parts(self, period: Period, segment: Segment) -> tuple[int, int]:
        """Average lifetime in months as a quotient: pooled opening customers and churned customers.

        Without subscriptions: 12 x the prior 12 months' purchasers, and those of them that bought no more.
        """
        if self.has_subscriptions:
            months = self.window(period)
            return self.pooled_churn(months[-1]).get(segment, (0, 0)) if months else (0, 0)
        before = {p.account for p in self.buyers(period, prior=True).get(segment, [])}
        still = {p.account for p in self.buyers(period).get(segment, [])}
        return 12 * len(before), len(before - still)

    def seen(self) -> set[Segment]:
        if self.has_subscriptions:
            return self.revenue.seen()
        return {s for p in self.periods for s in (*self.buyers(p), *self.buyers(p, prior=True))}

    def table(self) -> list[Row]:
        """The rows of kpi_ltv."""
        return [
            {**key_columns(period, segment, self.book.as_of), **self.figures(period, segment)}
            for period, segment in cells(self.periods, self.seen())
        ]

    def figures(self, period: Period, segment: Segment) -> Row:
        movements = self.revenue.by_segment(period).get(segment, []) if self.has_subscriptions else []
        customers = [m for m in movements if m.closing > 0]
        opening, churned = self.lifetime_parts(period, segment)
        lifetime = Fraction(opening, churned) if churned else None
        arpa = Fraction(sum((m.closing for m in customers), ZERO)) / len(customers) if customers else None
        status = self._status(period, len(customers), churned)
        margin = self.book.settings.gross_margin
        has_ltv = status in ("ok", "short_history")
        return {
            "customers": len(customers),
            "arpa": _published(arpa),
            "gross_margin": float(margin),
            "churn_rate_12m": _published(_quotient(churned, opening)) if self.has_subscriptions else None,
            "average_lifetime_months": _published(lifetime),
            "ltv": _published(arpa * margin * lifetime) if has_ltv else None,
            "ltv_status": status,
            **self._purchase_figures(period, segment, lifetime),
            "ltv_realised_average": _published(self._realised_average(customers, period)),
        }

    def _status(self, period: Period, customers: int, churned: int) -> str:
        if not customers:
            return "no_customers"
        if not churned:
            return "no_churn_observed"
        return "short_history" if len(self.window(period)) < 12 else "ok"

    def _purchase_figures(self, period: Period, segment: Segment, lifetime: Fraction | None) -> Row:
        buyers, months = self.buyers(period).get(segment, []), len(self.window(period))
        count, amount = sum(p.count for p in buyers), sum((p.amount for p in buyers), ZERO)
        value = _quotient(amount, count)
        frequency = _quotient(count, len(buyers) * months)
        is_known = None not in (value, frequency, lifetime)
        return {
            "average_purchase_value": _published(value),
            "purchases_per_customer_month": _published(frequency),
            "ltv_purchase": _published(value * frequency * lifetime) if is_known else None,
        }

    def _realised_average(self, customers: list[Movement], period: Period) -> Fraction | None:
        if not customers or not self.payments.all:
            return None
        closing = period.closing(self.book.as_of)
        paid = sum((self.payments.paid_until(m.account, closing) for m in customers), ZERO)
        return Fraction(paid) * self.book.settings.gross_margin / len(customers)


def account_ltv_table(book: Book, segments: Segments, payments: Payments) -> list[Row]:
    """The rows of fct_account_ltv: accounts that ever paid or were ever invoiced."""
    expected, tiers = segments.expected_ltv(book.as_of), segments.tiers(book.as_of)
    rows = []
    for account in sorted(book.first_paid.keys() | payments.by_account.keys()):
        paid = payments.paid_until(account, book.as_of)
        rows.append(
            {
                "account_id": account,
                "first_paid_date": book.first_paid.get(account),
                "tenure_months": _tenure_months(book, account),
                "current_mrr": book.mrr(account, book.as_of, book.as_of),
                "paid_total": paid,
                "ltv_realised": rounded(Fraction(paid) * book.settings.gross_margin),
                "ltv_expected": _published(expected.get(account)),
                "touch_tier": tiers.get(account),
            }
        )
    return rows


def _tenure_months(book: Book, account: str) -> int | None:
    """Whole months from the first paid day to the day after the last one so far; None if it never paid."""
    first = book.first_paid.get(account)
    if first is None:
        return None
    end = book.last_paid_day(account, first, book.as_of) + DAY
    return (end.year - first.year) * 12 + end.month - first.month - (end.day < first.day)


def _payment(book: Book, row: Row) -> Payment:
    is_refund, day = row.get("kind") == "refund", row["issued_at"].date()
    amount = book.rates.convert(row["amount"], row.get("currency"), day)
    return Payment(row["account_id"], day, -abs(amount) if is_refund else amount, is_refund)


def _quotient(numerator: Decimal | int, denominator: int) -> Fraction | None:
    return Fraction(numerator) / denominator if denominator else None


def _published(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
