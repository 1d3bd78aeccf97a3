"""Usage events of all accounts, as numpy arrays: sessions per day from the stretches, events per session."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from dagster_project.sample.lives import Life

WEEK = np.array([1.05, 1.10, 1.10, 1.05, 0.95, 0.12, 0.08])  # Monday first
EVENT_NAMES = (
    "login",
    "view_dashboard",
    "edit_record",
    "search",
    "comment",
    "export_report",
    "create_dashboard",
    "run_automation",
    "invite_user",
)
EVENT_SHARES = np.array([0.0, 0.34, 0.24, 0.16, 0.10, 0.06, 0.04, 0.05, 0.01])
EXPORT = EVENT_NAMES.index("export_report")
SESSIONS_PER_DAY = 0.062  # of an account with one user, on an average working day
FADE_DAYS = 63  # use falls over nine weeks before an account leaves
RESENT, LATE, WITHOUT_ACCOUNT = 0.003, 0.002, 0.0005


def usage_events(lives: list[Life], first_day: int, ends: list[int], seed: int, dirt: bool) -> pd.DataFrame:
    """One row per delivered event, in the order of delivery.

    Columns (whole numbers unless said): `delivery` (index into `ends`), `event` (running number),
    `account`, `spell` (of the subscription), `user` (0 = none), `name` (index into EVENT_NAMES),
    `instant` (seconds), `session` (0 = none), `duration` (tenths of a second, -1 = none),
    `quantity` (-1 = none), `by_subscription` and `has_account` (booleans).
    """
    rng = np.random.default_rng([seed, 1])
    days = _account_days(lives, first_day)
    sessions = _sessions(days, rng)
    events = _events(sessions, rng)
    events = events.sort_values(["instant", "session"], kind="stable", ignore_index=True)
    events["event"] = np.arange(1, len(events) + 1)
    events["has_account"] = True
    return _delivered(events, np.array(ends), rng, dirt)


def _account_days(lives: list[Life], first_day: int) -> pd.DataFrame:
    """One row per account and day of use: the expected number of sessions."""
    columns = ("account", "spell", "start", "end", "level", "users", "fades_on")
    stretches = pd.DataFrame(
        [
            (life.number, s.spell, max(s.start, first_day), s.end, s.level, s.users, s.fades_on or 0)
            for life in lives
            for s in life.stretches
            if s.end > max(s.start, first_day)
        ],
        columns=columns,
    ).astype({name: float if name == "level" else "int64" for name in columns})
    length = (stretches["end"] - stretches["start"]).to_numpy()
    days = stretches.loc[stretches.index.repeat(length)].reset_index(drop=True)
    offset = np.arange(len(days)) - np.repeat(np.cumsum(length) - length, length)
    days["day"] = days["start"].to_numpy() + offset
    fade = np.where(days["fades_on"] > 0, np.clip((days["fades_on"] - days["day"]) / FADE_DAYS, 0.04, 1.0), 1.0)
    days["expected"] = SESSIONS_PER_DAY * days["users"] ** 0.8 * days["level"] * fade * _season(days["day"].to_numpy())
    return days[["account", "spell", "day", "users", "expected"]]


def _season(days: np.ndarray) -> np.ndarray:
    """Weekday factor, lowered over New Year, Golden Week and Obon."""
    if not len(days):
        return np.ones(0)
    first, last = int(days.min()), int(days.max())
    factor = WEEK[(np.arange(first, last + 1) - 1) % 7]
    for day in range(first, last + 1):
        at = date.fromordinal(day)
        if (at.month, at.day) in {(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3), (5, 3), (5, 4), (5, 5)}:
            factor[day - first] *= 0.1
        elif at.month == 8 and 13 <= at.day <= 16:
            factor[day - first] *= 0.5
    return factor[days - first]


def _sessions(days: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per session: who, when, and how many events."""
    count = rng.poisson(days["expected"])
    sessions = days.loc[days.index.repeat(count), ["account", "spell", "day", "users"]].reset_index(drop=True)
    n = len(sessions)
    sessions["session"] = np.arange(1, n + 1)
    sessions["user"] = 1 + (sessions["users"] * rng.random(n) ** 1.5).astype("int64")
    peak = np.where(rng.random(n) < 0.55, 10.6, 15.2)
    hour = np.clip(rng.normal(peak, 1.5), 6.0, 22.0)
    sessions["instant"] = sessions["day"] * 86_400 + (hour * 3600).astype("int64")
    sessions["events"] = 1 + rng.geometric(0.22, n)
    return sessions


def _events(sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    events = sessions.loc[sessions.index.repeat(sessions["events"])].reset_index(drop=True)
    n, counts = len(events), sessions["events"].to_numpy()
    first = np.repeat(np.cumsum(counts) - counts, counts)
    is_first = np.arange(n) == first
    gap = np.where(is_first, 0, 5 + rng.exponential(75, n).astype("int64"))
    elapsed = np.cumsum(gap)
    events["instant"] += elapsed - elapsed[first] if n else elapsed
    name = np.searchsorted(np.cumsum(EVENT_SHARES), rng.random(n), side="right")
    events["name"] = np.where(is_first, 0, np.minimum(name, len(EVENT_NAMES) - 1))
    # by account: three of five clients measure durations, one of seven sends no session ids,
    # one of eleven names only the subscription
    account = events["account"].to_numpy()
    events["duration"] = np.where(account % 5 < 3, rng.exponential(600, n).astype("int64"), -1)
    events["quantity"] = np.where(events["name"] == EXPORT, rng.integers(1, 500, n), -1)
    events["session"] = np.where(account % 7 == 6, 0, events["session"])
    events["by_subscription"] = account % 11 == 10
    events["user"] = np.where(rng.random(n) < 0.004, 0, events["user"])
    return events.drop(columns=["day", "users", "events"])


def _delivered(events: pd.DataFrame, ends: np.ndarray, rng: np.random.Generator, dirt: bool) -> pd.DataFrame:
    """Assigns events to deliveries: some arrive one delivery late, some twice, some without an account."""
    n = len(events)
    due = np.searchsorted(ends, events["instant"].to_numpy() // 86_400)
    late, resent, spoilt = rng.random(n) < LATE, rng.random(n) < RESENT, rng.random(n) < WITHOUT_ACCOUNT
    events["delivery"] = due + late
    again = events[resent].assign(delivery=(due + (late | (rng.random(n) < 0.5)))[resent])
    parts = [events, again]
    if dirt:
        numbers = n + 1 + np.arange(int(spoilt.sum()))
        parts.append(events[spoilt].assign(event=numbers, has_account=False))
    every = pd.concat(parts, ignore_index=True)
    return every[every["delivery"] < len(ends)].sort_values("delivery", kind="stable", ignore_index=True)
