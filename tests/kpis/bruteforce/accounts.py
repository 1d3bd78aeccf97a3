"""Account-level tables: dim_accounts and fct_account_periods."""

from __future__ import annotations

from .book import ATTRIBUTES, Book
from .company import Row
from .money import ZERO
from .periods import GRAINS, Period
from .revenue import Movement, Revenue
from .segments import Segments
from .usage import Usage

# Rows that name no account stand under this id, so that the rows behind a number always add up to it.
UNKNOWN = "(unknown)"

SEGMENT_COLUMNS = ("plan", "product", "industry", "region", "company_size", "owner", "touch_tier")


def dim_accounts(book: Book, segments: Segments) -> list[Row]:
    """Every account known or referred to; attributes as the newest snapshot that knows it has them."""
    last_active: dict[str, object] = {}
    for event in book.events:
        day = event["occurred_at"].date()
        account = event["account_id"] or UNKNOWN
        last_active[account] = max(day, last_active.get(account, day))
    tiers = segments.tiers(book.as_of)
    rows = []
    for account in sorted(_known_accounts(book)):
        newest = book.history[account][-1][1] if account in book.history else {}
        rows.append(
            {
                "account_id": account,
                "account_name": newest.get("account_name"),
                **{name: newest.get(name) or UNKNOWN for name in ATTRIBUTES},
                "created_at": newest.get("created_at"),
                "first_paid_date": book.first_paid.get(account),
                "last_active_date": last_active.get(account),
                "is_customer": book.is_customer(account, book.as_of),
                "current_mrr": book.mrr(account, book.as_of, book.as_of),
                "touch_tier": tiers.get(account),
                "community_touch": bool(newest.get("community_touch")),
            }
        )
    return rows


def _known_accounts(book: Book) -> set[str]:
    rows = (*book.invoices, *book.steps, *book.tickets, *book.responses, *book.events)
    known = book.history.keys() | book.items.keys() | {row.get("account_id") or UNKNOWN for row in rows}
    return known - book.test_accounts


def _movement_columns(movement: Movement | None) -> Row:
    opening, closing = (movement.opening, movement.closing) if movement else (ZERO, ZERO)
    return {
        "opening_mrr": opening,
        "fx_impact_mrr": opening - movement.opening_then if movement else ZERO,
        "closing_mrr": closing,
        "movement": movement.kind if movement else None,
        "movement_mrr": closing - opening,
        "is_customer_opening": opening > 0,
        "is_customer_closing": closing > 0,
    }


def _tickets_by_account(book: Book, period: Period) -> dict[str, int]:
    opened: dict[str, int] = {}
    for ticket in book.tickets:
        if period.start <= ticket["created_at"].date() <= period.end:
            opened[ticket.get("account_id")] = opened.get(ticket.get("account_id"), 0) + 1
    return opened


def fct_account_periods(book: Book, segments: Segments, revenue: Revenue, usage: Usage) -> list[Row]:
    """One row per account, grain and period in which any measure is not zero."""
    dated = [*book.first_paid.values(), *usage.by_day, *(ticket["created_at"].date() for ticket in book.tickets)]
    rows = []
    for period in [p for grain in GRAINS for p in book.periods(min(dated), grain)] if dated else []:
        movements = {m.account: m for m in revenue.movements(period)}
        opened = _with_unknown(_tickets_by_account(book, period))
        users = _with_unknown(usage.users_by_account(period))
        sessions = _with_unknown(usage.sessions_by_account(period))
        cohort = {m.account: m.then for m in revenue.cohort(period)}
        for account in sorted(movements.keys() | opened.keys() | users.keys() | sessions.keys() | cohort.keys()):
            measures = {
                **_movement_columns(movements.get(account)),
                "mrr_12m_ago": cohort.get(account, ZERO),
                "active_users": users.get(account, 0),
                "sessions": sessions.get(account, 0),
                "tickets_opened": opened.get(account, 0),
            }
            if any(measures.values()):
                values = segments.in_period(account, period)
                key = {"account_id": account, "grain": period.grain, "period_start": period.start}
                rows.append({**key, **{name: values[name] for name in SEGMENT_COLUMNS}, **measures})
    return rows


def _with_unknown(counts: dict[str | None, int]) -> dict[str, int]:
    return {account or UNKNOWN: count for account, count in counts.items()}
