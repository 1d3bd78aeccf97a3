"""MRR movements per account and period, and kpi_mrr, kpi_churn, kpi_retention, kpi_nrr, kpi_expansion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property

from .book import Book
from .company import Row
from .money import ZERO
from .periods import GRAINS, Period, twelve_months_earlier
from .segments import Segment, Segments, cells, grouped, key_columns


@dataclass(frozen=True)
class Movement:
    """One account in one period; `opening` and `closing` at the closing rate, `opening_then` as published before."""

    account: str
    opening_then: Decimal
    opening: Decimal
    closing: Decimal
    first_paid_in_period: bool
    product_openings: dict[str, Decimal]
    product_closings: dict[str, Decimal]

    @property
    def kind(self) -> str | None:
        """The movement's name; None where nothing moved."""
        if self.opening == 0 and self.closing > 0:
            return "new" if self.first_paid_in_period else "reactivation"
        if self.opening > 0 and self.closing == 0:
            return "churn"
        if self.opening == self.closing:
            return None
        return "expansion" if self.closing > self.opening else "contraction"

    @property
    def signed(self) -> Decimal:
        return self.closing - self.opening

    @property
    def is_same_period_churn(self) -> bool:
        """Paid between two ends at which it paid nothing."""
        return self.opening == 0 and self.closing == 0

    @cached_property
    def upsell(self) -> Decimal:
        """The sum of the increases on products held at both ends."""
        kept = self.product_openings.keys() & self.product_closings.keys()
        return sum((max(self.product_closings[p] - self.product_openings[p], ZERO) for p in kept), ZERO)

    @cached_property
    def cross_sell(self) -> Decimal:
        """Closing MRR of added products, where at least one old one is kept."""
        if not self.product_openings.keys() & self.product_closings.keys():
            return ZERO
        added = self.product_closings.keys() - self.product_openings.keys()
        return sum((self.product_closings[p] for p in added), ZERO)


@dataclass(frozen=True)
class CohortMember:
    """A customer of the day 12 months earlier: its MRR then and now, both at the closing rate."""

    account: str
    then: Decimal
    now: Decimal


class Revenue:
    """The population of every period with its movements and 12-month cohort."""

    def __init__(self, book: Book, segments: Segments) -> None:
        self.book = book
        self.segments = segments
        self.movements = cache(self._movements)
        self.cohort = cache(self._cohort)
        self.by_segment = cache(self._by_segment)
        self.cohort_by_segment = cache(self._cohort_by_segment)
        first = min(book.first_paid.values(), default=None)
        self.periods = [] if first is None else [p for grain in GRAINS for p in book.periods(first, grain)]

    def _movements(self, period: Period) -> list[Movement]:
        """Accounts with opening or closing MRR or a paid day in the period."""
        closing = period.closing(self.book.as_of)
        return [
            self._movement(account, period)
            for account in self.book.paying
            if self.book.is_customer(account, period.opening)
            or self.book.last_paid_day(account, period.start, closing) is not None
        ]

    def _movement(self, account: str, period: Period) -> Movement:
        book, closing = self.book, period.closing(self.book.as_of)
        return Movement(
            account=account,
            opening_then=book.mrr(account, period.opening, period.opening),
            opening=book.mrr(account, period.opening, closing),
            closing=book.mrr(account, closing, closing),
            first_paid_in_period=book.first_paid[account] >= period.start,
            product_openings=self._by_product(account, period, at_opening=True),
            product_closings=self._by_product(account, period, at_opening=False),
        )

    def _by_product(self, account: str, period: Period, *, at_opening: bool) -> dict[str, Decimal]:
        closing = period.closing(self.book.as_of)
        sums: dict[str, Decimal] = {}
        for item in self.book.paying_on(account, period.opening if at_opening else closing):
            sums[item.product] = sums.get(item.product, ZERO) + self.book.amount(item, closing)
        return sums

    def _cohort(self, period: Period) -> list[CohortMember]:
        book, closing = self.book, period.closing(self.book.as_of)
        day = twelve_months_earlier(closing)
        return [
            CohortMember(account, book.mrr(account, day, closing), book.mrr(account, closing, closing))
            for account in book.customers_on(day)
        ]

    def _by_segment(self, period: Period) -> dict[Segment, list[Movement]]:
        published, values = self.segments.published, self.segments.in_period
        return grouped((published(values(m.account, period)), m) for m in self.movements(period))

    def _cohort_by_segment(self, period: Period) -> dict[Segment, list[CohortMember]]:
        closing = period.closing(self.book.as_of)
        day = twelve_months_earlier(closing)
        published, values = self.segments.published, self.segments.on_day
        return grouped((published(values(m.account, day, closing)), m) for m in self.cohort(period))

    def seen(self) -> set[Segment]:
        """Every segment that a row of the population or of a 12-month cohort ever had, in any grain."""
        return {s for p in self.periods for s in (*self.by_segment(p), *self.cohort_by_segment(p))}

    def table(self, name: str) -> list[Row]:
        """One of the tables kpi_mrr, kpi_churn, kpi_retention, kpi_nrr, kpi_expansion."""
        rows = []
        for period, segment in cells(self.periods, self.seen()):
            movements = self.by_segment(period).get(segment, [])
            if name == "kpi_nrr":
                figures = nrr_figures(movements, self.cohort_by_segment(period).get(segment, []))
            else:
                figures = FIGURES[name](movements)
            rows.append({**key_columns(period, segment, self.book.as_of), **figures})
        return rows


def mrr_figures(movements: list[Movement]) -> Row:
    gains = {kind: _moved(movements, kind) for kind in ("new", "reactivation", "expansion")}
    losses = {kind: _moved(movements, kind) for kind in ("contraction", "churn")}
    closing, customers = _sum(m.closing for m in movements), _customers_at_closing(movements)
    return {
        "opening_mrr": _sum(m.opening_then for m in movements),
        "fx_impact_mrr": _sum(m.opening - m.opening_then for m in movements),
        "new_mrr": gains["new"],
        "reactivation_mrr": gains["reactivation"],
        "expansion_mrr": gains["expansion"],
        "contraction_mrr": losses["contraction"],
        "churned_mrr": losses["churn"],
        "closing_mrr": closing,
        "arr": 12 * closing,
        "customers": customers,
        "arpa": ratio(closing, customers),
        "quick_ratio": ratio(sum(gains.values()), sum(losses.values())),
    }


def churn_figures(movements: list[Movement]) -> Row:
    opening_customers, opening = _customers_at_opening(movements), _sum(m.opening for m in movements)
    lost, churned = _count(movements, "churn"), _moved(movements, "churn")
    contraction, expansion = _moved(movements, "contraction"), _moved(movements, "expansion")
    return {
        "opening_customers": opening_customers,
        "churned_customers": lost,
        "same_period_churned_customers": sum(m.is_same_period_churn for m in movements),
        "customer_churn_rate": ratio(lost, opening_customers),
        "opening_mrr": opening,
        "churned_mrr": churned,
        "contraction_mrr": contraction,
        "expansion_mrr": expansion,
        "revenue_churn_rate": ratio(churned, opening),
        "gross_revenue_churn_rate": ratio(churned + contraction, opening),
        "net_revenue_churn_rate": ratio(churned + contraction - expansion, opening),
    }


def retention_figures(movements: list[Movement]) -> Row:
    opening, closing = _customers_at_opening(movements), _customers_at_closing(movements)
    new, reactivated = _count(movements, "new"), _count(movements, "reactivation")
    return {
        "opening_customers": opening,
        "new_customers": new,
        "reactivated_customers": reactivated,
        "churned_customers": _count(movements, "churn"),
        "closing_customers": closing,
        "customer_retention_rate": ratio(closing - new - reactivated, opening),
    }


def nrr_figures(movements: list[Movement], members: list[CohortMember]) -> Row:
    cohort = [m for m in movements if m.opening > 0]
    opening, retained = _sum(m.opening for m in cohort), _sum(m.closing for m in cohort)
    gross = _sum(min(m.opening, m.closing) for m in cohort)
    opening_12m, retained_12m = _sum(m.then for m in members), _sum(m.now for m in members)
    gross_12m = _sum(min(m.then, m.now) for m in members)
    return {
        "opening_customers": len(cohort),
        "opening_mrr": opening,
        "retained_mrr": retained,
        "gross_retained_mrr": gross,
        "nrr": ratio(retained, opening),
        "grr": ratio(gross, opening),
        "cohort_12m_customers": len(members),
        "cohort_12m_mrr": opening_12m,
        "retained_12m_mrr": retained_12m,
        "gross_retained_12m_mrr": gross_12m,
        "nrr_12m": ratio(retained_12m, opening_12m),
        "grr_12m": ratio(gross_12m, opening_12m),
    }


def expansion_figures(movements: list[Movement]) -> Row:
    cohort = [m for m in movements if m.opening > 0]
    upsold, cross_sold = sum(m.upsell > 0 for m in cohort), sum(m.cross_sell > 0 for m in cohort)
    return {
        "opening_customers": len(cohort),
        "upsold_customers": upsold,
        "upsell_rate": ratio(upsold, len(cohort)),
        "upsell_mrr": _sum(m.upsell for m in cohort),
        "cross_sold_customers": cross_sold,
        "cross_sell_rate": ratio(cross_sold, len(cohort)),
        "cross_sell_mrr": _sum(m.cross_sell for m in cohort),
    }


FIGURES = {
    "kpi_mrr": mrr_figures,
    "kpi_churn": churn_figures,
    "kpi_retention": retention_figures,
    "kpi_expansion": expansion_figures,
}


def ratio(numerator: Decimal | int, denominator: Decimal | int) -> float | None:
    """The quotient, by one float division of exact numbers; None where the denominator is 0."""
    return float(numerator) / float(denominator) if denominator else None


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _moved(movements: list[Movement], kind: str) -> Decimal:
    return _sum(abs(m.signed) for m in movements if m.kind == kind)


def _count(movements: list[Movement], kind: str) -> int:
    return sum(m.kind == kind for m in movements)


def _customers_at_opening(movements: list[Movement]) -> int:
    return sum(m.opening > 0 for m in movements)


def _customers_at_closing(movements: list[Movement]) -> int:
    return sum(m.closing > 0 for m in movements)
