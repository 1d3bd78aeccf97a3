"""Rows of the standard extracts, made from the lives: what each system of the company would export.

A row is a dict in the order of the canonical columns (INTERFACES section 2); None is a missing value.
Rows of deltas come with the day they became known, so that they fall into the right delivery.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import date
from math import exp
from random import Random
from typing import Any

from dagster_project.sample.catalogue import JPY_PER_UNIT, SIZES, STEPS, money
from dagster_project.sample.days import DAY, day_text, instant_text, office_instant, plus_months
from dagster_project.sample.lives import Life, Period, Stretch

Row = dict[str, Any]
DatedRow = tuple[int, Row]

PRIORITIES = {"low": 40.0, "normal": 22.0, "high": 9.0, "urgent": 3.0}  # mean hours to resolution
PRIORITY_SHARES = (25, 52, 17, 6)
CREDIT_FROM_DAYS = 5  # a credit for less is not worth a letter


def account_row(life: Life, day: int) -> Row:
    """The account as the CRM knows it on that day."""
    now = life.attributes[bisect_right(life.attributes, day, key=lambda version: version[0]) - 1][1]
    kind = ("株式会社", ", Ltd.", "合同会社")[life.number % 3]
    return {
        "account_id": life.account_id,
        "account_name": f"サンプル{life.number:05d}{kind}",
        **now,
        "created_at": instant_text(life.created_at),
        "is_test": str(life.is_test).lower(),
        "community_touch": str(life.community_touch).lower(),
    }


def subscription_row(period: Period, day: int) -> Row:
    """The priced period as known on that day: an end decided later is still open."""
    known_end = period.end if period.end_known is not None and period.end_known <= day else None
    # half of the reporting-currency accounts leave the currency empty, which means just that
    silent = period.currency == "JPY" and int(period.account_id[-1]) % 2 == 0
    return {
        "subscription_id": period.subscription_id,
        "account_id": period.account_id,
        "product": period.product,
        "plan": period.plan,
        "quantity": period.quantity,
        "amount": period.amount,
        "currency": "" if silent else period.currency,
        "billing_interval": "one_off" if period.is_one_off else period.billing.interval,
        "billing_interval_count": "" if period.is_one_off else period.billing.count,
        "start_date": day_text(period.start),
        "end_date": day_text(known_end),
        "is_trial": str(period.is_trial).lower(),
    }


def invoices(life: Life, last_day: int, seed: int) -> list[DatedRow]:
    """Invoices of every paid period in advance, credits for what was paid and not used, goodwill refunds."""
    rng = Random(f"{seed}/{life.number}/invoices")
    charges = sorted((charge for p in life.periods for charge in _charges(p, last_day, rng)), key=lambda c: c[0])
    return [
        (
            instant // DAY,
            {
                "invoice_id": f"INV-{life.number:05d}-{number:04d}",
                "account_id": life.account_id,
                "issued_at": instant_text(instant),
                "amount": amount,
                "currency": life.currency,
                "kind": kind,
            },
        )
        for number, (instant, amount, kind) in enumerate(charges, start=1)
    ]


def _charges(period: Period, last_day: int, rng: Random) -> Iterator[tuple[int, Any, str]]:
    if period.is_trial or period.amount == 0 or period.end == period.start:
        return
    if period.is_one_off:
        yield office_instant(period.start, rng), period.amount, "one_off"
        return
    until = min(last_day + 1, period.end or last_day + 1)
    day, interval = period.start, 0
    while day < until:
        yield office_instant(day, rng), period.amount, "recurring"
        if rng.random() < 0.003 and day + 3 <= last_day:
            yield office_instant(day + 3, rng), -money(3000.0, period.currency), "refund"
        interval += 1
        before, day = day, plus_months(period.start, interval * period.billing.months)
    unused = day - until
    if period.end is not None and period.end <= last_day and unused > CREDIT_FROM_DAYS:
        credit = (period.amount * unused / (day - before)).quantize(period.amount)
        # some systems export refunds with a minus, some without
        sign = 1 if int(period.account_id[-1]) == 7 else -1
        yield office_instant(period.end, rng), sign * credit, "refund"


def onboarding_steps(life: Life, last_day: int, seed: int) -> list[DatedRow]:
    """Steps in their usual order, as far as the account came; now and then one is recorded twice."""
    rng = Random(f"{seed}/{life.number}/onboarding")
    keen = rng.uniform(0.80, 0.99) if len(life.stretches) > 2 else rng.uniform(0.2, 0.8)
    day = life.created_at // DAY + rng.choice((-1, 0, 1, 2, 3, 5, 7))
    done: list[DatedRow] = []
    for step in STEPS:
        if rng.random() > keen:
            break
        times = [day] if rng.random() > 0.03 else [day, day + 12]
        done += [(at, _step_row(life, step, at, rng)) for at in times if at <= last_day]
        day += 1 + int(rng.expovariate(1 / 13))
    return done


def _step_row(life: Life, step: str, day: int, rng: Random) -> Row:
    return {"account_id": life.account_id, "step": step, "completed_at": instant_text(office_instant(day, rng))}


def support_tickets(life: Life, ends: list[int], seed: int) -> tuple[list[DatedRow], list[DatedRow]]:
    """Ticket rows, one per delivery in which the ticket's state changed, and the CSAT answers to tickets."""
    rng = Random(f"{seed}/{life.number}/tickets")
    tickets: list[DatedRow] = []
    answers: list[DatedRow] = []
    number = 0
    for stretch in life.stretches:
        rate = 0.17 * stretch.users**0.35 * exp(1.2 * (1 - stretch.level)) * (stretch.end - stretch.start) / 30
        for _ in range(_poisson(rate, rng)):
            number += 1
            states = _ticket_states(life, number, stretch, rng)
            tickets += _states_at_deliveries(states, ends)
            answers += _ticket_answer(life, number, states, ends[-1], rng)
    return tickets, answers


def _poisson(rate: float, rng: Random) -> int:
    count, product, limit = 0, rng.random(), exp(-rate)
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def _ticket_states(life: Life, number: int, stretch: Stretch, rng: Random) -> list[tuple[int, Row]]:
    """The ticket after each change of its state, with the instant of the change."""
    created = office_instant(rng.randrange(stretch.start, stretch.end), rng)
    priority = rng.choices(list(PRIORITIES), PRIORITY_SHARES)[0]
    hours = PRIORITIES[priority]
    responded = created + 60 + int(3600 * rng.expovariate(5 / hours))
    resolved = responded + int(3600 * rng.expovariate(1 / hours))
    row = {
        "ticket_id": f"TKT-{life.number:05d}-{number:04d}",
        "account_id": life.account_id if rng.random() > 0.02 else None,
        "created_at": instant_text(created),
        "first_responded_at": None,
        "resolved_at": None,
        "priority": priority,
        "status": "open",
        "updated_at": instant_text(created),
    }
    states = [(created, row)]

    def change(at: int, **values: Any) -> None:
        states.append((at, {**states[-1][1], **values, "updated_at": instant_text(at)}))

    change(responded, first_responded_at=instant_text(responded), status="pending")
    if rng.random() < 0.02:
        return states
    change(resolved, resolved_at=instant_text(resolved), status="solved")
    if rng.random() < 0.08:
        reopened = resolved + rng.randrange(4 * 3600, 20 * DAY)
        change(reopened, resolved_at=None, status="open")
        again = reopened + int(3600 * rng.expovariate(1 / (6 * hours)))
        change(again, resolved_at=instant_text(again), status="solved")
    return states


def _states_at_deliveries(states: list[tuple[int, Row]], ends: list[int]) -> list[DatedRow]:
    """The newest state in each delivery since whose predecessor something changed."""
    newest: dict[int, Row] = {}
    for instant, row in states:
        delivery = bisect_right(ends, instant // DAY - 1)
        if delivery < len(ends):
            newest[ends[delivery]] = row
    return list(newest.items())


def _ticket_answer(
    life: Life, number: int, states: list[tuple[int, Row]], last_day: int, rng: Random
) -> list[DatedRow]:
    instant, final = states[-1]
    if rng.random() > 0.35 or final["status"] != "solved":
        return []
    waited = (instant - states[0][0]) / 3600
    score = min(5, max(1, round(rng.gauss(4.4 - waited / 60, 0.9))))
    at = instant + rng.randrange(600, 2 * DAY)
    row = _answer(life, f"T{number:04d}", _contact(life, rng), "csat", "support", score, at)
    return [(at // DAY, row)] if at // DAY <= last_day else []


def surveys(life: Life, last_day: int, seed: int) -> list[DatedRow]:
    """Half-yearly NPS of every contact and now and then a CSAT on the service; unhappy accounts score lower."""
    rng = Random(f"{seed}/{life.number}/surveys")
    rows: list[DatedRow] = []
    for months, stretch in enumerate(life.stretches):
        if months % 6 == 2:
            for contact in range(1, _contacts(life) + 1):
                rows += _nps_answers(life, contact, months, stretch, rng)
        if rng.random() < 0.07:
            score = min(5, max(1, round(rng.gauss(3.9 + 0.6 * (stretch.level - 1), 0.9))))
            at = office_instant(rng.randrange(stretch.start, stretch.end), rng)
            rows.append((at // DAY, _answer(life, f"S{months:03d}", None, "csat", "service", score, at)))
    return [(day, row) for day, row in rows if day <= last_day]


def _nps_answers(life: Life, contact: int, months: int, stretch: Stretch, rng: Random) -> Iterable[DatedRow]:
    if rng.random() > 0.4:
        return
    contact_id = f"CT-{life.number:05d}-{contact}" if rng.random() > 0.05 else None
    topic = "company" if rng.random() < 0.75 else "service"
    at = office_instant(rng.randrange(stretch.start, stretch.end), rng)
    for again in range(2 if rng.random() < 0.06 else 1):
        score = min(10, max(0, round(rng.gauss(7.9 + 3.0 * (stretch.level - 1), 1.9))))
        instant = at + again * 3 * DAY
        yield instant // DAY, _answer(life, f"N{months:03d}{contact}{again}", contact_id, "nps", topic, score, instant)


def _contacts(life: Life) -> int:
    return 1 + SIZES.index(life.first["company_size"])


def _contact(life: Life, rng: Random) -> str:
    return f"CT-{life.number:05d}-{rng.randint(1, _contacts(life))}"


def _answer(life: Life, key: str, contact_id: str | None, survey: str, topic: str, score: int, at: int) -> Row:
    return {
        "response_id": f"RSP-{life.number:05d}-{key}",
        "account_id": life.account_id,
        "contact_id": contact_id,
        "survey": survey,
        "topic": topic,
        "score": score,
        "responded_at": instant_text(at),
    }


def fx_rates(currencies: tuple[str, ...], first_day: int, last_day: int, seed: int) -> list[DatedRow]:
    """A slowly wandering rate in JPY per business day and foreign currency."""
    rows: list[DatedRow] = []
    for currency in sorted(set(currencies) - {"JPY"}):
        rng, rate = Random(f"{seed}/fx/{currency}"), JPY_PER_UNIT[currency]
        for day in range(first_day, last_day + 1):
            if date.fromordinal(day).weekday() < 5:
                rate *= exp(rng.gauss(0, 0.004) + 0.01 * (1 - rate / JPY_PER_UNIT[currency]))
                rows.append((day, {"currency": currency, "rate_date": day_text(day), "rate": f"{rate:.4f}"}))
    return rows
