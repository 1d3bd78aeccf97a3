"""Calendar arithmetic of the sample company: a day is its proleptic ordinal, an instant is in seconds.

Whole numbers keep the simulation free of time zones and make it easy to vectorise.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from random import Random

DAY = 86_400
UNIX_EPOCH = date(1970, 1, 1).toordinal() * DAY


def plus_months(day: int, months: int) -> int:
    """The same day of the month `months` later, clamped to the end of a shorter month."""
    at = date.fromordinal(day)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return date(year, month + 1, min(at.day, monthrange(year, month + 1)[1])).toordinal()


def month_ends(last_day: date, months: int) -> list[int]:
    """Last days of the `months` calendar months up to `last_day`, which itself is the last of them."""
    firsts = [plus_months(last_day.replace(day=1).toordinal(), 1 - back) for back in range(months - 1, 0, -1)]
    return [first - 1 for first in firsts] + [last_day.toordinal()]


def office_instant(day: int, rng: Random) -> int:
    """Some second of that day between 09:00 and 18:00."""
    return day * DAY + 9 * 3600 + rng.randrange(9 * 3600)


def day_text(day: int | None) -> str:
    return "" if day is None else date.fromordinal(day).isoformat()


def instant_text(instant: int) -> str:
    return (datetime(1, 1, 1) + timedelta(seconds=instant - DAY)).isoformat(" ")
