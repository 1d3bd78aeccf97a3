"""What happens to each account from sign-up to the last day: profile, priced periods, how much it uses.

Every account draws from its own random stream, so that what happens to one never depends on the others.
No files and no extract columns here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import exp, log
from random import Random

from dagster_project.sample.catalogue import (
    ADD_ON_PLAN,
    ADD_ONS,
    BILLING_SHARES,
    BILLINGS,
    CORE,
    FREE,
    INDUSTRIES,
    OWNERS,
    PLAN_HAZARD,
    PLAN_SHARES,
    PLANS,
    REGION_SHARES,
    REGIONS,
    SIZE_PRICE,
    SIZE_SEATS,
    SIZE_SHARES,
    SIZES,
    TRAINING,
    Billing,
    money,
    monthly_seat_price,
)
from dagster_project.sample.days import office_instant, plus_months

MONTHLY_GROWTH = 1.02  # of sign-ups
SIGNED_UP_BEFORE = 0.32  # share of accounts older than the first month
OLDEST_DAYS = 730
MONTHLY_HAZARD = 0.0175  # of cancelling, at average health and plan


@dataclass
class Period:
    """One row of crm/subscriptions; `start`, `end` and the day the end became known are ordinals."""

    subscription_id: str
    account_id: str
    product: str
    plan: str
    quantity: int
    amount: Decimal
    currency: str
    billing: Billing
    start: int
    end: int | None = None
    end_known: int | None = None
    is_trial: bool = False
    is_one_off: bool = False

    def close(self, day: int, known: int | None = None) -> None:
        self.end = day
        self.end_known = max(self.start, day if known is None else known)


@dataclass
class Stretch:
    """Days [start, end) of steady use: `level` 1 is normal, towards `fades_on` it falls to almost nothing."""

    start: int
    end: int
    level: float
    users: int
    spell: int
    fades_on: int | None = None


@dataclass
class Life:
    """Everything about one account that the systems of the company could have recorded."""

    number: int
    created_at: int
    attributes: list[tuple[int, dict[str, str]]]
    billing: Billing
    currency: str
    is_test: bool
    community_touch: bool
    periods: list[Period] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        return f"ACC-{self.number:05d}"

    @property
    def first(self) -> dict[str, str]:
        return self.attributes[0][1]


def simulate(
    accounts: int, months: int, first_day: int, last_day: int, seed: int, currencies: tuple[str, ...]
) -> list[Life]:
    """The lives of all accounts in order of sign-up, simulated up to `last_day`."""
    sign_ups = _sign_up_days(accounts, months, first_day, last_day, Random(f"{seed}/sign-ups"))
    return [_live(n, day, last_day, Random(f"{seed}/{n}"), currencies) for n, day in enumerate(sign_ups, start=1)]


def _sign_up_days(accounts: int, months: int, first_day: int, last_day: int, rng: Random) -> list[int]:
    growth = MONTHLY_GROWTH**months - 1
    span = last_day - first_day + 1
    days = []
    for _ in range(accounts):
        share = log(1 + rng.random() * growth) / (months * log(MONTHLY_GROWTH))
        older = rng.random() < SIGNED_UP_BEFORE
        days.append(first_day - 1 - rng.randrange(OLDEST_DAYS) if older else first_day + int(share * span))
    days.sort()
    # the first account pays from before the first delivery on, so that no snapshot is ever empty
    days[0] = min(days[0], first_day - 40)
    return days


def _live(number: int, sign_up: int, last_day: int, rng: Random, currencies: tuple[str, ...]) -> Life:
    life = Life(
        number=number,
        created_at=office_instant(sign_up, rng),
        attributes=_attribute_history(sign_up, last_day, rng),
        billing=rng.choices(BILLINGS, BILLING_SHARES)[0],
        currency=rng.choices(currencies, [0.8] + [0.2] * (len(currencies) - 1))[0],
        is_test=number > 1 and rng.random() < 0.012,
        community_touch=rng.random() < 0.12,
    )
    way_in = "direct" if number == 1 else rng.choices(("direct", "trial", "free"), (47, 45, 8))[0]
    start = _begin(life, way_in, sign_up, last_day, rng)
    spell = 1
    while start is not None and start <= last_day:
        left = _Spell(life, spell, start, last_day, rng).run()
        returns = left is not None and rng.random() < 0.22
        start = left + rng.randrange(35, 220) if returns else None
        spell += 1
    return life


def _attribute_history(sign_up: int, last_day: int, rng: Random) -> list[tuple[int, dict[str, str]]]:
    now = {
        "industry": rng.choice(list(INDUSTRIES)) if rng.random() > 0.02 else "",
        "region": rng.choices(list(REGIONS), REGION_SHARES)[0],
        "company_size": rng.choices(SIZES, SIZE_SHARES)[0],
        "owner": rng.choice(OWNERS),
    }
    history = [(sign_up, now)]
    for day in range(sign_up + 30, last_day + 1, 30):
        changed = _changed_attribute(now, rng)
        if changed:
            now = {**now, **changed}
            history.append((day + rng.randrange(15), now))
    return history


def _changed_attribute(now: dict[str, str], rng: Random) -> dict[str, str]:
    draw = rng.random()
    if draw < 0.020:
        return {"owner": rng.choice([name for name in OWNERS if name != now["owner"]])}
    if draw < 0.026 and now["company_size"] != SIZES[-1]:
        return {"company_size": SIZES[SIZES.index(now["company_size"]) + 1]}
    if draw < 0.028:
        return {"region": rng.choice(list(REGIONS))}
    if draw < 0.030 or (draw < 0.2 and not now["industry"]):
        return {"industry": rng.choice(list(INDUSTRIES))}
    return {}


def _begin(life: Life, way_in: str, sign_up: int, last_day: int, rng: Random) -> int | None:
    """The first day as a paying account, or None where a trial or a free account never comes to pay."""
    if way_in == "direct":
        return sign_up + rng.randrange(6)
    length = rng.choice((14, 30)) if way_in == "trial" else rng.randrange(60, 400)
    converts = rng.random() < (0.58 if way_in == "trial" else 0.35)
    end = sign_up + length
    period = Period(
        subscription_id=f"SUB-{life.number:05d}-0",
        account_id=life.account_id,
        product=CORE,
        plan=FREE if way_in == "free" else _plan(life, rng),
        quantity=rng.randint(1, 3) if way_in == "free" else _seats(life, rng),
        # some systems export a trial at its later price: it must count for nothing all the same
        amount=money(9000.0 if way_in == "trial" and rng.random() < 0.3 else 0.0, life.currency),
        currency=life.currency,
        billing=BILLINGS[0],
        start=sign_up,
        is_trial=way_in == "trial",
    )
    stays_free = way_in == "free" and not converts
    if not stays_free and end <= last_day:
        period.close(end)
    if way_in == "trial":
        period.end, period.end_known = end, sign_up
    life.periods.append(period)
    used_until = last_day + 1 if stays_free else min(last_day + 1, end)
    users = max(1, period.quantity // 2)
    life.stretches.append(Stretch(sign_up, used_until, 0.6, users, 0, None if converts or stays_free else end))
    if converts:
        return end + (rng.randrange(1, 20) if rng.random() < 0.2 else 0)
    late = way_in == "trial" and rng.random() < 0.1
    return end + rng.randrange(45, 150) if late else None


def _plan(life: Life, rng: Random) -> str:
    return rng.choices(PLANS, PLAN_SHARES[life.first["company_size"]])[0]


def _seats(life: Life, rng: Random) -> int:
    low, high = SIZE_SEATS[life.first["company_size"]]
    return low + int((high - low) * rng.random() ** 1.7)


class _Spell:
    """One uninterrupted relation with an account: month by month its health, and what follows from it."""

    def __init__(self, life: Life, number: int, start: int, last_day: int, rng: Random):
        self.life, self.number, self.start, self.last_day, self.rng = life, number, start, last_day, rng
        self.health = min(1.5, max(0.4, rng.gauss(1.0, 0.2)))
        self.plan, self.seats = _plan(life, rng), _seats(life, rng)
        self.adoption = rng.uniform(0.45, 0.9)
        profile = life.first
        self.price_level = (
            INDUSTRIES.get(profile["industry"], 1.0)
            * REGIONS[profile["region"]]
            * SIZE_PRICE[profile["company_size"]]
            * rng.uniform(0.88, 1.08)
            * (1 - life.billing.discount)
        )
        self.held: dict[str, Period] = {}
        self.resumes: int | None = None

    def run(self) -> int | None:
        """Plays the spell up to the last day; returns the day it ended, None where it still goes on."""
        self._hold(CORE, self.start)
        if self.rng.random() < 0.2:
            self._hold(self.rng.choice(list(ADD_ONS)), self.start)
        if self.rng.random() < 0.01:  # changes its mind within days
            left = self.start + self.rng.randrange(5, 16)
            self._use(self.start, left)
            return self._leave(left)
        day, step = self.start, 0
        while day <= self.last_day:
            step += 1
            until = plus_months(self.start, step)
            self._use(day, until)
            day = until
            if self._cancels(step):
                return self._leave(day)
            if day <= self.last_day:
                self._change(day, step)
        return None

    def _use(self, start: int, end: int) -> None:
        drift = 0.06 * (1 - self.health) + self.rng.gauss(0, 0.12)
        self.health = min(1.6, max(0.15, self.health + drift))
        level = 0.05 if self.resumes is not None else self.health
        users = max(1, round(self.seats * self.adoption * min(1.0, 0.5 + self.health / 2)))
        self.life.stretches.append(Stretch(start, min(end, self.last_day + 1), level, users, self.number))

    def _cancels(self, step: int) -> bool:
        interval = self.life.billing.months
        if step % interval or self.resumes is not None:
            return False
        hazard = MONTHLY_HAZARD * PLAN_HAZARD[self.plan] * exp(2.2 * (1 - self.health)) * (1.4 if step <= 3 else 1.0)
        # whoever signs for longer is more loyal than as many months one by one
        return self.rng.random() < 1 - (1 - min(hazard, 0.5)) ** (interval**0.93)

    def _leave(self, day: int) -> int | None:
        """Fades the use towards `day`; the rows end only where notice was given by the last day."""
        for stretch in self.life.stretches:
            if stretch.spell == self.number:
                stretch.end, stretch.fades_on = min(stretch.end, day), day
        known = day - self.rng.randrange(26)
        if known > self.last_day:
            return None
        for period in self.held.values():
            period.close(day, known)
        return day

    def _change(self, day: int, step: int) -> None:
        if self._paused(day, step):
            return
        draw, reprice = self.rng.random(), False
        if step % max(12, self.life.billing.months) == 0 and self.rng.random() < 0.65:
            self.price_level *= self.rng.uniform(1.02, 1.07)
            reprice = True
        if draw < 0.015 * self.health and self.plan != PLANS[-1]:
            self.plan, reprice = PLANS[PLANS.index(self.plan) + 1], True
        elif draw > 1 - 0.004 * (2 - self.health) and self.plan != PLANS[0]:
            self.plan, reprice = PLANS[PLANS.index(self.plan) - 1], True
        reprice = self._change_seats() or reprice
        self._change_add_ons(day)
        if reprice:
            for product in list(self.held):
                self._hold(product, day)
        if self.rng.random() < 0.012:
            self._train(day)

    def _change_seats(self) -> bool:
        if self.rng.random() > 0.07:
            return False
        grows = self.rng.random() < 0.50 + 0.25 * self.health
        factor = self.rng.uniform(1.04, 1.22) if grows else self.rng.uniform(0.80, 0.97)
        before, self.seats = self.seats, max(1, round(self.seats * factor))
        return self.seats != before

    def _change_add_ons(self, day: int) -> None:
        held = [product for product in self.held if product in ADD_ONS]
        free = [product for product in ADD_ONS if product not in self.held]
        if free and self.rng.random() < 0.016 * self.health:
            self._hold(self.rng.choice(free), day)
        elif held and self.rng.random() < 0.010:
            self.held.pop(self.rng.choice(held)).close(day)

    def _paused(self, day: int, step: int) -> bool:
        """Only monthly customers pause: 1 to 3 months at amount 0 and then on at the same price."""
        if self.resumes is None and self.life.billing.months == 1 and step > 3 and self.rng.random() < 0.006:
            self.resumes = step + self.rng.randint(1, 3)
            for product in list(self.held):
                self._hold(product, day, paused=True)
        elif self.resumes == step:
            self.resumes = None
            for product in list(self.held):
                self._hold(product, day)
        return self.resumes is not None

    def _hold(self, product: str, day: int, paused: bool = False) -> None:
        """Opens a priced period, closing the one it follows; on its own first day a period is replaced."""
        before = self.held.get(product)
        if before is not None and before.start == day:
            self.life.periods.remove(before)
        elif before is not None:
            before.close(day)
        plan = self.plan if product == CORE else ADD_ON_PLAN
        months = self.life.billing.months
        price = 0.0 if paused else monthly_seat_price(product, self.plan) * self.seats * self.price_level * months
        self.held[product] = Period(
            subscription_id=f"SUB-{self.life.number:05d}-{self.number}",
            account_id=self.life.account_id,
            product=product,
            plan=plan,
            quantity=self.seats,
            amount=money(price, self.life.currency),
            currency=self.life.currency,
            billing=self.life.billing,
            start=day,
        )
        self.life.periods.append(self.held[product])

    def _train(self, day: int) -> None:
        """A one-off charge, and now and then a booking by mistake, undone the same day."""
        charge = replace(
            self.held[CORE],
            product=TRAINING,
            quantity=1,
            amount=money(80_000.0 * self.rng.randint(1, 4), self.life.currency),
            start=day,
            is_one_off=True,
        )
        charge.close(day + 1, day)
        self.life.periods.append(charge)
        if self.rng.random() < 0.1:
            mistake = replace(self.held[CORE], subscription_id=f"SUB-{self.life.number:05d}-M{day}", start=day)
            mistake.close(day)
            self.life.periods.append(mistake)
