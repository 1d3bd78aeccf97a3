"""Usage events: users, sessions, kpi_engagement and fct_engagement_daily."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from .book import Book
from .company import Row
from .periods import DAY, GRAINS, Period, days
from .revenue import ratio
from .segments import TOTAL, Segment, Segments, cells, grouped, key_columns
from .stats import HALF, mean, percentile, scaled

SESSION_GAP = dt.timedelta(minutes=30)
MICROSECOND = dt.timedelta(microseconds=1)
MINUTE = 60_000_000
WEEK = 7

User = tuple[str | None, str]


@dataclass(frozen=True)
class Session:
    """One session of one user; it counts on the day of its first event. Length in microseconds."""

    account: str | None
    day: dt.date
    length: int


class Usage:
    """User-days and sessions of all events."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.is_account_level = all(event.get("user_id") is None for event in book.events)
        self.by_day: dict[dt.date, set[str | None]] = {}
        self.users_by_day: dict[dt.date, set[User]] = {}
        for event in book.events:
            day, user = event["occurred_at"].date(), self._user(event)
            self.by_day.setdefault(day, set()).add(event["account_id"])
            if user is not None:
                self.users_by_day.setdefault(day, set()).add(user)
        self.sessions = _sessions(book.events)
        self.sessions_by_day: dict[dt.date, list[Session]] = {}
        for session in self.sessions:
            self.sessions_by_day.setdefault(session.day, []).append(session)
        self.rolling = cache(self._rolling)

    def _user(self, event: Row) -> User | None:
        account, user = event["account_id"], event.get("user_id")
        if self.is_account_level:
            return None if account is None else (account, "")
        return None if user is None else (account, user)

    def days_of(self, period: Period) -> list[dt.date]:
        """The period's days up to the as-of date."""
        return list(days(period.start, period.closing(self.book.as_of)))

    def accounts_with_events(self, period: Period) -> set[str | None]:
        return set().union(*(self.by_day.get(day, ()) for day in self.days_of(period)))

    def users_by_account(self, period: Period) -> Counter[str | None]:
        """Distinct users in the period."""
        users = set().union(*(self.users_by_day.get(day, ()) for day in self.days_of(period)))
        return Counter(account for account, _ in users)

    def sessions_by_account(self, period: Period) -> Counter[str | None]:
        return Counter(session.account for session in self.sessions_in(period))

    def sessions_in(self, period: Period) -> list[Session]:
        return [session for day in self.days_of(period) for session in self.sessions_by_day.get(day, ())]

    def _rolling(self, length: int) -> dict[dt.date, Counter[str | None]]:
        """Per day, each account's distinct users of the `length` days ending with it."""
        active: dict[User, list[dt.date]] = {}
        for day in sorted(self.users_by_day):
            for user in self.users_by_day[day]:
                active.setdefault(user, []).append(day)
        counts: dict[dt.date, Counter[str | None]] = defaultdict(Counter)
        for (account, _), on_days in active.items():
            counted_until = dt.date.min
            for day in on_days:
                for counted in days(max(day, counted_until + DAY), day + (length - 1) * DAY):
                    counts[counted][account] += 1
                counted_until = day + (length - 1) * DAY
        return dict(counts)

    def user_days(self, period: Period, length: int) -> Counter[str | None]:
        """Per account, the sum over the period's days of the distinct users of the `length` days ending there."""
        rolling, sums = self.rolling(length), Counter()
        for day in self.days_of(period):
            sums.update(rolling.get(day, {}))
        return sums


@dataclass(frozen=True)
class Engagement:
    """One account's usage in one period."""

    users: int
    user_days: int
    user_weeks: int
    has_events: bool
    is_account: bool
    is_customer: bool
    seats: int
    session_lengths: tuple[int, ...]


def engagement_table(book: Book, segments: Segments, usage: Usage) -> list[Row]:
    """The rows of kpi_engagement: from the first period with an event."""
    if not usage.by_day:
        return []
    periods = [period for grain in GRAINS for period in book.periods(min(usage.by_day), grain)]
    groups = {
        period: grouped(
            (segments.published(segments.in_period(account, period)), engagement)
            for account, engagement in _engagements(book, usage, period).items()
        )
        for period in periods
    }
    return [
        {
            **key_columns(period, segment, book.as_of),
            **_engagement_figures(groups[period].get(segment, []), period, len(usage.days_of(period))),
            "is_account_level": usage.is_account_level,
        }
        for period, segment in cells(periods, (s for group in groups.values() for s in group))
    ]


def _engagements(book: Book, usage: Usage, period: Period) -> dict[str | None, Engagement]:
    """Every account with an event in or up to six days before the period, and every customer of one of its days."""
    closing = period.closing(book.as_of)
    users, with_events = usage.users_by_account(period), usage.accounts_with_events(period)
    user_days, user_weeks = usage.user_days(period, 1), usage.user_days(period, WEEK)
    customers = {a for a in book.paying if book.last_paid_day(a, period.start, closing) is not None}
    lengths: dict[str | None, list[int]] = {}
    for session in usage.sessions_in(period):
        lengths.setdefault(session.account, []).append(session.length)
    return {
        account: Engagement(
            users=users[account],
            user_days=user_days[account],
            user_weeks=user_weeks[account],
            has_events=account in with_events,
            is_account=account is not None,
            is_customer=account in customers,
            seats=sum(item.quantity for item in book.paying_on(account, closing)),
            session_lengths=tuple(lengths.get(account, ())),
        )
        for account in with_events | user_weeks.keys() | customers
    }


def _engagement_figures(group: list[Engagement], period: Period, elapsed: int) -> Row:
    users, seats = sum(e.users for e in group), sum(e.seats for e in group)
    daily = Fraction(sum(e.user_days for e in group), elapsed)
    weekly = Fraction(sum(e.user_weeks for e in group), elapsed)
    customers = sum(e.is_customer for e in group)
    active_customers = sum(e.is_customer and e.has_events for e in group)
    lengths = [length for e in group for length in e.session_lengths]
    return {
        "active_users": users,
        "active_users_daily_average": float(daily),
        "active_users_weekly_average": float(weekly),
        "stickiness": float(daily / users) if users and period.grain == "month" else None,
        "active_accounts": sum(e.has_events and e.is_account for e in group),
        "customers_in_period": customers,
        "active_customers": active_customers,
        "active_account_rate": ratio(active_customers, customers),
        "seats": seats,
        "seat_utilisation": ratio(users, seats),
        "sessions": len(lengths),
        "sessions_per_active_user": ratio(len(lengths), users),
        "session_minutes_average": scaled(mean(lengths), MINUTE),
        "session_minutes_median": scaled(percentile(lengths, HALF), MINUTE),
    }


def engagement_daily_table(book: Book, segments: Segments, usage: Usage) -> list[Row]:
    """The rows of fct_engagement_daily; an account's plan on a day is its plan in that month."""
    if not usage.by_day:
        return []
    by_day = {
        day: _daily_groups(segments, usage, day, month)
        for month in book.periods(min(usage.by_day), "month")
        for day in usage.days_of(month)
        if day >= min(usage.by_day)
    }
    plans = sorted({segment for group in by_day.values() for segment in group})
    names = ("active_users", "active_users_7d", "active_users_30d", "active_accounts", "sessions")
    return [
        {
            "date": day,
            "segment_dimension": segment[0],
            "segment_value": segment[1],
            **{name: group.get(segment, {}).get(name, 0) for name in names},
            "is_account_level": usage.is_account_level,
        }
        for day, group in by_day.items()
        for segment in plans
    ]


def _daily_groups(segments: Segments, usage: Usage, day: dt.date, month: Period) -> dict[Segment, Counter[str]]:
    accounts = usage.by_day.get(day, set())
    per_account = {
        "active_users": usage.rolling(1).get(day, {}),
        "active_users_7d": usage.rolling(WEEK).get(day, {}),
        "active_users_30d": usage.rolling(30).get(day, {}),
        "active_accounts": Counter(account for account in accounts if account is not None),
        "sessions": Counter(session.account for session in usage.sessions_by_day.get(day, ())),
    }
    sums: dict[Segment, Counter[str]] = defaultdict(Counter)
    for name, counts in per_account.items():
        for account, count in counts.items():
            sums[TOTAL][name] += count
            sums["plan", segments.in_period(account, month)["plan"]][name] += count
    return sums


def _sessions(events: Iterable[Row]) -> list[Session]:
    """Sessions by the extract's session id; without one, a gap of more than 30 minutes starts a new one."""
    named: dict[tuple, list[Row]] = {}
    unnamed: dict[tuple, list[Row]] = {}
    for event in events:
        owner = (event["account_id"], event.get("user_id"))
        if event.get("session_id") is None:
            unnamed.setdefault(owner, []).append(event)
        else:
            named.setdefault((*owner, event["session_id"]), []).append(event)
    return [_session(group) for group in (*named.values(), *(g for rows in unnamed.values() for g in _by_gaps(rows)))]


def _by_gaps(events: list[Row]) -> list[list[Row]]:
    groups: list[list[Row]] = []
    for event in sorted(events, key=lambda row: row["occurred_at"]):
        if groups and event["occurred_at"] - groups[-1][-1]["occurred_at"] <= SESSION_GAP:
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _session(events: list[Row]) -> Session:
    times, durations = [e["occurred_at"] for e in events], [e.get("duration_seconds") for e in events]
    if any(duration is None for duration in durations):
        length = (max(times) - min(times)) // MICROSECOND
    else:
        length = sum(int(duration * 1_000_000) for duration in durations)
    return Session(events[0]["account_id"], min(times).date(), length)
