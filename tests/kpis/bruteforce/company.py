"""The input: a company's canonical rows as Python dicts, and how they are read from the lake.

No KPI logic here. Rows carry canonical column names; dates are `datetime.date`, timestamps naive
`datetime.datetime` in the reporting time zone, decimals `decimal.Decimal`, empty values None.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]

SEGMENT_DIMENSIONS = ("plan", "product", "industry", "region", "company_size", "owner", "touch_tier")
DELTAS = ("invoices", "onboarding_steps", "support_tickets", "survey_responses", "events", "fx_rates")
NO_DELIVERY = dt.date.max  # the partition of the zero-row file that makes a glob bind


@dataclass(frozen=True)
class Settings:
    """The business settings; shares, margin and amounts are exact fractions."""

    reporting_currency: str = "JPY"
    fiscal_year_start_month: int = 4
    gross_margin: Fraction = Fraction(1)
    small_sample: int = 30
    csat_threshold: Fraction = Fraction(4)
    segment_dimensions: tuple[str, ...] = SEGMENT_DIMENSIONS
    onboarding_steps: tuple[str, ...] = ()
    onboarding_require: str = "all"
    onboarding_within_days: int = 90
    high_touch_share: Fraction = Fraction(1, 10)
    low_touch_share: Fraction = Fraction(4, 10)
    high_touch_amount: Fraction | None = None
    low_touch_amount: Fraction | None = None

    @classmethod
    def from_vars(cls, values: dict[str, Any]) -> Settings:
        """The settings of a mapping shaped like the dbt vars; 0.1 written as a float means exactly one tenth."""
        steps, tiers = values["onboarding"], values["touch_tiers"]
        return cls(
            reporting_currency=values["reporting_currency"],
            fiscal_year_start_month=values["fiscal_year_start_month"],
            gross_margin=as_fraction(values["gross_margin"]),
            small_sample=values["small_sample"],
            csat_threshold=as_fraction(values["csat_threshold"]),
            segment_dimensions=tuple(values["segment_dimensions"]),
            onboarding_steps=tuple(steps["steps"]),
            onboarding_require=steps["require"],
            onboarding_within_days=steps["within_days"],
            **{name: as_fraction(value) for name, value in tiers.items()},
        )


def as_fraction(value: Any) -> Fraction | None:
    """The number as it is written, so that 0.1 is one tenth; None stays None."""
    return None if value is None else Fraction(str(value))


@dataclass
class Company:
    """Canonical rows per extract. `accounts`: every snapshot by extract date; `subscriptions`: the newest snapshot.

    The other lists are deltas; their rows may carry `extract_date` and `_order` (int) to choose the newest per key.
    """

    accounts: dict[dt.date, list[Row]] = field(default_factory=dict)
    subscriptions: list[Row] = field(default_factory=list)
    invoices: list[Row] = field(default_factory=list)
    onboarding_steps: list[Row] = field(default_factory=list)
    support_tickets: list[Row] = field(default_factory=list)
    survey_responses: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    fx_rates: list[Row] = field(default_factory=list)


def read_lake(lake: Path, as_of: dt.date) -> Company:
    """The company as the deliveries up to `as_of` have it; systems delivering the same extract are put together.

    Within a delta, `_order` counts rows by extract date, file and row, so that the last line is the greatest.
    """
    accounts: dict[dt.date, list[Row]] = {}
    for folder in _deliveries(lake, "accounts", as_of):
        accounts.setdefault(_extract_date(folder), []).extend(_rows(folder))
    subscriptions = [row for folder in _newest_per_system(lake, as_of) for row in _rows(folder)]
    return Company(accounts, subscriptions, **{name: _delta(lake, name, as_of) for name in DELTAS})


def default_as_of(lake: Path) -> dt.date:
    """The older of the newest extract dates of accounts and subscriptions. Raises ValueError where one is absent."""
    return min(
        max(_extract_date(f) for f in _deliveries(lake, name, dt.date.max)) for name in ("accounts", "subscriptions")
    )


def _delta(lake: Path, extract: str, as_of: dt.date) -> list[Row]:
    rows = [
        {**row, "extract_date": _extract_date(folder)}
        for folder in _deliveries(lake, extract, as_of)
        for row in _rows(folder)
    ]
    rows.sort(key=lambda row: (row["extract_date"], row["_file"], row["_row"]))
    return [{**row, "_order": order} for order, row in enumerate(rows)]


def _deliveries(lake: Path, extract: str, as_of: dt.date) -> list[Path]:
    folders = sorted(lake.glob(f"*/{extract}/extract_date=*"))
    return [folder for folder in folders if _extract_date(folder) <= as_of and _extract_date(folder) != NO_DELIVERY]


def _newest_per_system(lake: Path, as_of: dt.date) -> list[Path]:
    newest = {folder.parent: folder for folder in sorted(_deliveries(lake, "subscriptions", as_of))}
    return list(newest.values())


def _extract_date(folder: Path) -> dt.date:
    return dt.date.fromisoformat(folder.name.removeprefix("extract_date="))


def _rows(folder: Path) -> list[Row]:
    rows: list[Row] = []
    with duckdb.connect() as connection:
        for file in sorted(folder.glob("*.parquet")):
            found = connection.execute("select * from read_parquet(?, hive_partitioning = false)", [str(file)])
            names = [column[0] for column in found.description]
            rows += [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    return rows
