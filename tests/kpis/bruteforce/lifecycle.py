"""Beginnings and cohorts: kpi_onboarding, kpi_trials and kpi_cohorts."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from .book import Book, Item
from .company import Row, Settings
from .money import ZERO
from .periods import DAY, GRAINS, Period
from .revenue import ratio
from .segments import Segments, cells, grouped, key_columns
from .stats import HALF, percentile, scaled

EVENT_STEP = re.compile(r"event:(?P<name>.+?)(?:>=(?P<count>\d+))?")
CONVERSION_DAYS = 30 * DAY


@dataclass(frozen=True)
class SignUp:
    """An account's sign-up; `days` to completion of the required steps, None where they were not all done."""

    account: str
    day: dt.date
    days: int | None
    is_eligible: bool


def onboarding_table(book: Book, segments: Segments) -> list[Row]:
    """The rows of kpi_onboarding; none where no extract holds the configured steps."""
    by_event = any(step.startswith("event:") for step in book.settings.onboarding_steps)
    signups = _signups(book) if book.steps or (by_event and book.events) else []
    if not signups:
        return []
    first = min(signup.day for signup in signups)
    groups = {
        period: grouped(
            (segments.published(segments.in_period(signup.account, period)), signup)
            for signup in signups
            if period.start <= signup.day <= period.end
        )
        for grain in GRAINS
        for period in book.periods(first, grain)
    }
    return [
        {
            **key_columns(period, segment, book.as_of),
            **_onboarding_figures(groups[period].get(segment, []), book.settings),
        }
        for period, segment in cells(groups, (s for group in groups.values() for s in group))
    ]


def _signups(book: Book) -> list[SignUp]:
    within = book.settings.onboarding_within_days * DAY
    done = _completion_days(book)
    signups = []
    for account, snapshots in book.history.items():
        created_at = snapshots[-1][1].get("created_at")
        if account in book.test_accounts or created_at is None or created_at.date() > book.as_of:
            continue
        day = created_at.date()
        signups.append(SignUp(account, day, _days_to_onboard(book, account, day, done), day + within <= book.as_of))
    return signups


def _days_to_onboard(book: Book, account: str, signed_up: dt.date, done: dict[tuple[str, str], dt.date]) -> int | None:
    steps = [done.get((account, step)) for step in book.settings.onboarding_steps]
    days = [max((day - signed_up).days, 0) for day in steps if day is not None]
    if not days:
        return None
    if book.settings.onboarding_require == "any":
        return min(days)
    return max(days) if len(days) == len(steps) else None


def _completion_days(book: Book) -> dict[tuple[str, str], dt.date]:
    """The earliest day on which each account completed each configured step."""
    done: dict[tuple[str, str], dt.date] = {}
    for row in book.steps:
        key, day = (row["account_id"], row["step"]), row["completed_at"].date()
        done[key] = min(day, done.get(key, day))
    for step in book.settings.onboarding_steps:
        if step.startswith("event:"):
            done |= _event_step_days(book, step)
    return done


def _event_step_days(book: Book, step: str) -> dict[tuple[str, str], dt.date]:
    parts = EVENT_STEP.fullmatch(step)
    needed = int(parts["count"] or 1)
    seen: dict[str, list[dt.date]] = {}
    for event in book.events:
        if event.get("event_name") == parts["name"]:
            seen.setdefault(event["account_id"], []).append(event["occurred_at"].date())
    return {(account, step): sorted(on)[needed - 1] for account, on in seen.items() if len(on) >= needed > 0}


def _onboarding_figures(signups: list[SignUp], settings: Settings) -> Row:
    eligible = [s for s in signups if s.is_eligible]
    onboarded = [s for s in eligible if s.days is not None and s.days <= settings.onboarding_within_days]
    return {
        "new_accounts": len(signups),
        "eligible_accounts": len(eligible),
        "onboarded_accounts": len(onboarded),
        "onboarding_completion_rate": ratio(len(onboarded), len(eligible)) if settings.onboarding_steps else None,
        "days_to_onboard_median": scaled(percentile([s.days for s in onboarded], HALF), 1),
    }


def trials_table(book: Book, segments: Segments) -> list[Row]:
    """The rows of kpi_trials, one trial per priced trial period; complete when 30 days have passed since its end."""
    trials = [item for items in book.items.values() for item in items if _is_ended_trial(book, item)]
    if not trials:
        return []
    first = min(trial.end for trial in trials)
    groups = {
        period: grouped(
            (segments.published(segments.in_period(trial.account, period)), _is_converted(book, trial))
            for trial in trials
            if period.start <= trial.end <= period.end
        )
        for grain in GRAINS
        for period in book.periods(first, grain)
    }
    return [
        {
            **key_columns(period, segment, book.as_of),
            "is_complete": period.end + CONVERSION_DAYS <= book.as_of,
            **_trial_figures(groups[period].get(segment, [])),
        }
        for period, segment in cells(groups, (s for group in groups.values() for s in group))
    ]


def _is_ended_trial(book: Book, item: Item) -> bool:
    is_ended = item.is_trial and item.end is not None and item.end <= book.as_of
    return is_ended and not book.is_customer(item.account, item.start - DAY)


def _is_converted(book: Book, trial: Item) -> bool:
    last = min(trial.end + CONVERSION_DAYS, book.as_of)
    return book.last_paid_day(trial.account, trial.end, last) is not None


def _trial_figures(converted: list[bool]) -> Row:
    return {
        "trials_ended": len(converted),
        "trials_converted": sum(converted),
        "trial_conversion_rate": ratio(sum(converted), len(converted)),
    }


def cohorts_table(book: Book, segments: Segments) -> list[Row]:
    """The rows of kpi_cohorts: cohorts with a customer, in every complete month since; MRR at its day's rate.

    Members keep the segment of their cohort month.
    """
    months = [month for month in segments.months if month.is_complete(book.as_of)]
    cohort_of = {account: _first_month(book, account, months) for account in book.paying}
    rows = []
    for number, start in enumerate(months):
        members = [account for account, month in cohort_of.items() if month == start]
        groups = grouped((segments.published(segments.in_period(account, start)), account) for account in members)
        for since, month in enumerate(months[number:]):
            rows += [
                {**_cohort_key(start, since, segment, month), **_cohort_figures(book, groups[segment], start, month)}
                for segment in sorted(groups)
            ]
    return rows


def _first_month(book: Book, account: str, months: list[Period]) -> Period | None:
    return next((month for month in months if book.is_customer(account, month.end)), None)


def _cohort_key(start: Period, since: int, segment: tuple[str, str], month: Period) -> Row:
    return {
        "cohort_month": start.start,
        "months_since_start": since,
        "segment_dimension": segment[0],
        "segment_value": segment[1],
        "period_end": month.end,
    }


def _cohort_figures(book: Book, members: list[str], start: Period, month: Period) -> Row:
    retained = sum(book.is_customer(account, month.end) for account in members)
    then = sum((book.mrr(account, start.end, start.end) for account in members), ZERO)
    now = sum((book.mrr(account, month.end, month.end) for account in members), ZERO)
    return {
        "cohort_customers": len(members),
        "retained_customers": retained,
        "customer_retention_rate": ratio(retained, len(members)),
        "cohort_mrr": then,
        "retained_mrr": now,
        "revenue_retention_rate": ratio(now, then),
    }
