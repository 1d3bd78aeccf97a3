"""Calendar arithmetic: the three grains, their periods and labels, and months earlier. Nothing about money."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

GRAINS = ("month", "quarter", "year")
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """One period of a grain; `start` and `end` are its first and last calendar day."""

    grain: str
    start: dt.date
    end: dt.date
    label: str

    @property
    def opening(self) -> dt.date:
        """The last day of the previous period, at whose end the opening is taken."""
        return self.start - DAY

    def closing(self, as_of: dt.date) -> dt.date:
        """The day at whose end the period is measured: its last day, or the as-of date while it runs."""
        return min(self.end, as_of)

    def is_complete(self, as_of: dt.date) -> bool:
        return self.end <= as_of


def period_of(day: dt.date, grain: str, fiscal_start: int) -> Period:
    """The period of the grain that holds the day, with a fiscal year beginning in month `fiscal_start`."""
    months_into_year = (day.month - fiscal_start) % 12
    length = MONTHS_OF[grain]
    start = first_of_month(day, -(months_into_year % length))
    end = first_of_month(start, length) - DAY
    fiscal_year = first_of_month(day, -months_into_year).year
    labels = {
        "month": f"{start:%Y-%m}",
        "quarter": f"FY{fiscal_year}-Q{months_into_year // 3 + 1}",
        "year": f"FY{fiscal_year}",
    }
    return Period(grain, start, end, labels[grain])


def periods_between(first: dt.date, last: dt.date, grain: str, fiscal_start: int) -> Iterator[Period]:
    """Every period from the one holding `first` to the one holding `last`, gap-free."""
    period = period_of(first, grain, fiscal_start)
    while period.start <= last:
        yield period
        period = period_of(period.end + DAY, grain, fiscal_start)


def first_of_month(day: dt.date, months: int = 0) -> dt.date:
    """The first day of the month that lies `months` after the day's month."""
    number = day.year * 12 + day.month - 1 + months
    return dt.date(number // 12, number % 12 + 1, 1)


def month_end(day: dt.date) -> dt.date:
    return dt.date(day.year, day.month, calendar.monthrange(day.year, day.month)[1])


def twelve_months_earlier(day: dt.date) -> dt.date:
    """Month-end maps to month-end, any other day to the same day, clamped."""
    end = month_end(first_of_month(day, -12))
    return end if day == month_end(day) else dt.date(end.year, end.month, min(day.day, end.day))


def days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Every day from first to last, both included."""
    day = first
    while day <= last:
        yield day
        day += DAY
