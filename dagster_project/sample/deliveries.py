"""Writes the sample company as delivered files: landing/<system>/<extract>/<YYYY-MM-DD>/<name>.

Full snapshots of accounts and subscriptions, monthly deltas of everything else, in CSV, gzipped CSV,
JSON lines and Parquet, so that the sample exercises the readers too.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

import duckdb

from dagster_project.sample.catalogue import JPY_PER_UNIT
from dagster_project.sample.days import UNIX_EPOCH, day_text, month_ends, plus_months
from dagster_project.sample.dirt import dirty_delta_rows, dirty_subscriptions, unknown_account_periods
from dagster_project.sample.lives import Life, simulate
from dagster_project.sample.records import (
    DatedRow,
    Row,
    account_row,
    fx_rates,
    invoices,
    onboarding_steps,
    subscription_row,
    support_tickets,
    surveys,
)
from dagster_project.sample.usage import EVENT_NAMES, usage_events

DELTA_FILES = {
    "invoices": ("crm", "invoices.jsonl"),
    "onboarding_steps": ("crm", "onboarding_steps.csv.gz"),
    "support_tickets": ("crm", "support_tickets.jsonl.gz"),
    "survey_responses": ("crm", "survey_responses.csv"),
    "fx_rates": ("finance", "fx_rates.csv"),
}
EVENTS_AS_EXPORTED = f"""
    select printf('EV-%09d', event) as event_id,
        case when has_account and not by_subscription then printf('ACC-%05d', account) end as account_id,
        case when has_account and by_subscription then printf('SUB-%05d-%d', account, spell) end as subscription_id,
        case when "user" > 0 then printf('USR-%05d-%03d', account, "user") end as user_id,
        {list(EVENT_NAMES)}[name + 1] as event_name,
        make_timestamp((instant - {UNIX_EPOCH}) * 1000000) as occurred_at,
        case when session > 0 then printf('SES-%09d', session) end as session_id,
        case when duration >= 0 then (duration / 10)::decimal(18, 1) end as duration_seconds,
        case when quantity >= 0 then quantity end as quantity
    from events
    where delivery = ?
    order by position
"""


def write_sample_company(
    landing: Path,
    *,
    accounts: int = 500,
    months: int = 30,
    last_day: date = date(2025, 9, 30),
    seed: int = 7,
    currencies: tuple[str, ...] = ("JPY",),
    snapshot_every: Literal["month", "last"] = "month",
    dirt: bool = True,
) -> dict[str, int]:
    """Writes the extracts of the calendar months up to `last_day`; the same arguments give the same bytes.

    `accounts` is how many ever signed up, about a third of them before the first month. All files
    appear together: they are written beside `landing` and renamed. `finance/fx_rates` exists only
    with a currency besides JPY. Returns the delivered rows per extract, such as {"crm/accounts": 9731}.

    Raises FileExistsError where `landing` holds anything (delivered files are never changed), and
    ValueError for arguments that describe no company.
    """
    _refuse_bad_arguments(landing, accounts, months, currencies)
    ends = month_ends(last_day, months)
    first_day = plus_months(last_day.replace(day=1).toordinal(), 1 - months)
    lives = simulate(accounts, months, first_day, ends[-1], seed, currencies)
    partial = landing.with_name(landing.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    rows: Counter[str] = Counter()
    rows.update(_write_snapshots(partial, lives, ends if snapshot_every == "month" else ends[-1:], dirt))
    rows.update(_write_deltas(partial, _delta_rows(lives, ends, seed, currencies), ends, dirt))
    rows.update(_write_events(partial, lives, first_day, ends, seed, dirt))
    partial.replace(landing)
    return dict(sorted(rows.items()))


def _refuse_bad_arguments(landing: Path, accounts: int, months: int, currencies: tuple[str, ...]) -> None:
    if accounts < 1 or months < 1:
        raise ValueError(f"accounts={accounts}, months={months}: both must be 1 or more")
    unknown = [currency for currency in currencies if currency not in JPY_PER_UNIT]
    if unknown or not currencies:
        raise ValueError(f"currencies={currencies}: expected one or more of {sorted(JPY_PER_UNIT)}")
    if landing.exists() and any(landing.iterdir()):
        raise FileExistsError(f"{landing}: expected no files yet, found some; choose an empty folder for the sample")


def _write_snapshots(root: Path, lives: list[Life], days: list[int], dirt: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    periods = sorted(
        (period for life in lives for period in life.periods),
        key=lambda period: (period.subscription_id, period.product, period.start),
    )
    unknown = unknown_account_periods(lives) if dirt else []
    for day in days:
        known = [account_row(life, day) for life in lives if life.attributes[0][0] <= day]
        rows = [subscription_row(period, day) for period in [*periods, *unknown] if period.start <= day]
        if dirt:
            rows += dirty_subscriptions(lives, day, len(rows))
        _write_rows(root / "crm" / "accounts" / day_text(day) / "accounts.csv", known)
        _write_rows(root / "crm" / "subscriptions" / day_text(day) / "subscriptions.csv", rows)
        counts.update({"crm/accounts": len(known), "crm/subscriptions": len(rows)})
    return counts


def _delta_rows(
    lives: list[Life], ends: list[int], seed: int, currencies: tuple[str, ...]
) -> dict[str, list[DatedRow]]:
    """Rows per extract with the day they became known; what is older than the first delivery comes with it."""
    last_day = ends[-1]
    tickets = [support_tickets(life, ends, seed) for life in lives]
    answers = [row for _, csat in tickets for row in csat]
    # rates must be there before the first amount they convert
    oldest = lives[0].attributes[0][0] - 10
    return {
        "invoices": [row for life in lives for row in invoices(life, last_day, seed)],
        "onboarding_steps": [row for life in lives for row in onboarding_steps(life, last_day, seed)],
        "support_tickets": [row for rows, _ in tickets for row in rows],
        "survey_responses": answers + [row for life in lives for row in surveys(life, last_day, seed)],
        "fx_rates": fx_rates(currencies, oldest, last_day, seed),
    }


def _write_deltas(root: Path, extracts: dict[str, list[DatedRow]], ends: list[int], dirt: bool) -> Counter[str]:
    """One file per month with rows; a month without any is not delivered at all."""
    counts: Counter[str] = Counter()
    for extract, dated in extracts.items():
        system, name = DELTA_FILES[extract]
        dated = sorted(dated, key=lambda row: row[0])
        at = 0
        for delivery, end in enumerate(ends):
            start = at
            while at < len(dated) and dated[at][0] <= end:
                at += 1
            rows = [row for _, row in dated[start:at]]
            if dirt:
                rows += dirty_delta_rows(extract, rows, delivery)
            if rows:
                _write_rows(root / system / extract / day_text(end) / name, rows)
                counts[f"{system}/{extract}"] += len(rows)
    return counts


def _write_events(
    root: Path, lives: list[Life], first_day: int, ends: list[int], seed: int, dirt: bool
) -> Counter[str]:
    events = usage_events(lives, first_day, ends, seed, dirt)
    events["position"] = range(len(events))
    counts: Counter[str] = Counter()
    # one thread: the layout of a Parquet file must not depend on the machine
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("delivered_events", events)
        connection.execute("create table events as from delivered_events")
        for delivery, rows in events.groupby("delivery").size().items():
            path = root / "usage" / "events" / day_text(ends[delivery]) / "events.parquet"
            path.parent.mkdir(parents=True)
            target = str(path).replace("'", "''")
            connection.execute(
                f"copy ({EVENTS_AS_EXPORTED}) to '{target}' (format parquet, compression zstd)", [int(delivery)]
            )
            counts["usage/events"] += int(rows)
    return counts


def _write_rows(path: Path, rows: list[Row]) -> None:
    """Writes dicts of one shape as the file name asks: .csv or .jsonl, gzipped without a time when .gz."""
    text = _as_json_lines(rows) if ".jsonl" in path.name else _as_csv(rows)
    data = text.encode("utf-8")
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0) if path.suffix == ".gz" else data)


def _as_csv(rows: list[Row]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return buffer.getvalue()


def _as_json_lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, default=_json_number) + "\n" for row in rows)


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
