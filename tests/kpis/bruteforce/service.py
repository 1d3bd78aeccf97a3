"""Support tickets and surveys: kpi_support and kpi_satisfaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from fractions import Fraction

from .book import UNKNOWN, Book
from .company import Row
from .periods import GRAINS, Period
from .revenue import ratio
from .segments import Segment, Segments, cells, grouped, key_columns
from .stats import HALF, mean, percentile, scaled

MICROSECOND = dt.timedelta(microseconds=1)
HOUR = 3_600_000_000
NINE_TENTHS = Fraction(9, 10)


def support_table(book: Book, segments: Segments) -> list[Row]:
    """The rows of kpi_support: from the first period in which a ticket was created."""
    first = min((ticket["created_at"].date() for ticket in book.tickets), default=None)

    def figures(tickets: list[Row], period: Period) -> Row:
        return _support_figures(tickets, period, period.closing(book.as_of))

    def in_period(period: Period) -> Iterable[tuple[list[Segment], Row]]:
        for ticket in book.tickets:
            if _counts_in(ticket, period, period.closing(book.as_of)):
                yield segments.published(segments.in_period(ticket.get("account_id"), period)), ticket

    return _table(book, first, in_period, figures)


def satisfaction_table(book: Book, segments: Segments) -> list[Row]:
    """The rows of kpi_satisfaction: from the first period with a response; survey_topic is one more dimension.

    A response that names no survey is none.
    """
    responses = [response for response in book.responses if response["survey"] in ("nps", "csat")]
    first = min((response["responded_at"].date() for response in responses), default=None)

    def in_period(period: Period) -> Iterable[tuple[list[Segment], Row]]:
        within = [r for r in responses if period.start <= r["responded_at"].date() <= period.end]
        counted = [r for r in within if r["survey"] == "csat"] + _latest_per_contact(within)
        for response in counted:
            account_segments = segments.published(segments.in_period(response.get("account_id"), period))
            yield [*account_segments, ("survey_topic", response.get("topic") or UNKNOWN)], response

    def figures(responses: list[Row], _: Period) -> Row:
        return _satisfaction_figures(responses, book.settings.csat_threshold)

    return _table(book, first, in_period, figures)


def _table(
    book: Book,
    first: dt.date | None,
    in_period: Callable[[Period], Iterable[tuple[list[Segment], Row]]],
    figures: Callable[[list[Row], Period], Row],
) -> list[Row]:
    if first is None:
        return []
    groups = {period: grouped(in_period(period)) for grain in GRAINS for period in book.periods(first, grain)}
    return [
        {**key_columns(period, segment, book.as_of), **figures(groups[period].get(segment, []), period)}
        for period, segment in cells(groups, (s for group in groups.values() for s in group))
    ]


def _on(moment: dt.datetime | None, first: dt.date, last: dt.date) -> bool:
    return moment is not None and first <= moment.date() <= last


def _is_open(ticket: Row, day: dt.date) -> bool:
    return ticket["created_at"].date() <= day and not _on(ticket.get("resolved_at"), dt.date.min, day)


def _counts_in(ticket: Row, period: Period, closing: dt.date) -> bool:
    moments = (ticket["created_at"], ticket.get("first_responded_at"), ticket.get("resolved_at"))
    return _is_open(ticket, closing) or any(_on(moment, period.start, closing) for moment in moments)


def _support_figures(tickets: list[Row], period: Period, closing: dt.date) -> Row:
    resolved = [t for t in tickets if _on(t.get("resolved_at"), period.start, closing)]
    responded = [t for t in tickets if _on(t.get("first_responded_at"), period.start, closing)]
    resolution = [(t["resolved_at"] - t["created_at"]) // MICROSECOND for t in resolved]
    response = [(t["first_responded_at"] - t["created_at"]) // MICROSECOND for t in responded]
    return {
        "tickets_opened": sum(_on(t["created_at"], period.start, closing) for t in tickets),
        "tickets_resolved": len(resolved),
        "ticket_backlog": sum(_is_open(t, closing) for t in tickets),
        "ticket_resolution_hours_median": scaled(percentile(resolution, HALF), HOUR),
        "ticket_resolution_hours_p90": scaled(percentile(resolution, NINE_TENTHS), HOUR),
        "ticket_resolution_hours_mean": scaled(mean(resolution), HOUR),
        "first_response_hours_median": scaled(percentile(response, HALF), HOUR),
    }


def _latest_per_contact(responses: list[Row]) -> list[Row]:
    """The NPS responses that count; of two at the same moment the one with the greater id."""
    latest: dict[tuple[str, str], Row] = {}
    nps = [response for response in responses if response["survey"] == "nps"]
    for response in sorted(nps, key=lambda r: (r["responded_at"], r["response_id"])):
        contact = response.get("contact_id")
        latest[("response", response["response_id"]) if contact is None else ("contact", contact)] = response
    return list(latest.values())


def _satisfaction_figures(responses: list[Row], threshold: Fraction) -> Row:
    nps = [r["score"] for r in responses if r["survey"] == "nps"]
    csat = [r["score"] for r in responses if r["survey"] == "csat"]
    promoters, detractors = sum(score >= 9 for score in nps), sum(score <= 6 for score in nps)
    satisfied = sum(Fraction(score) >= threshold for score in csat)
    return {
        "nps_responses": len(nps),
        "promoters": promoters,
        "passives": len(nps) - promoters - detractors,
        "detractors": detractors,
        "nps": ratio(100 * (promoters - detractors), len(nps)),
        "csat_responses": len(csat),
        "csat_satisfied": satisfied,
        "csat_rate": ratio(satisfied, len(csat)),
        "csat_average": ratio(sum(csat), len(csat)),
    }
