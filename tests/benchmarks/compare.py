"""Cell by cell: the marts of the bare reference against the published tables, and its control totals.

Money and counts must be equal, ratios within a relative 1e-9. What the two define differently is excused by a rule that
says why and holds for as few cells as possible; a difference that no rule covers is a bug in one of them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

TOLERANCE = 1e-9  # of ratios, relative
SHOWN = 3  # differences shown per column
SMALL_SAMPLE = 30  # the default of dbt_project.yml
SEGMENT = ("segment_dimension", "segment_value")
# Published deviations from the reference's README, or found by comparing and judged by KPI_SPEC.
EMPTY_ROW = "the published tables have every segment in every period, the reference has rows where something happened"
REGROUPED = (
    "the reference has no plan for accounts that pay nothing, and the plan of a year ago for those that paid then: such"
    " plans are summed before they are compared, and their ratios and medians are not"
)


@dataclass(frozen=True)
class Rule:
    """Cells that may differ: `columns` where the SQL condition `where` on p (published) and r (reference) holds."""

    why: str
    columns: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class Mart:
    """One mart of the reference and the published table beside it, as SQL that selects the same columns.

    In the SQL, `published`, `marts` and `state` are the schemas of the release, of the reference's marts and of its
    database, {now} and {complete} the month indexes of the as-of date and of the last complete month. Columns named
    with an underscore serve the rules. `left_out` are the reference's columns that are not compared, with the reason;
    `measures` the columns that tell an empty row, by default all that are compared.
    """

    name: str
    key: tuple[str, ...]
    published: str
    reference: str
    rules: tuple[Rule, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] | None = None
    is_regrouped: bool = False


@dataclass
class Outcome:
    """What comparing one mart gave: cells compared, cells excused by reason, differences, of each column the first."""

    mart: str
    cells: int = 0
    excused: dict[str, int] = field(default_factory=dict)
    differences: int = 0
    shown: list[str] = field(default_factory=list)

    def excuse(self, why: str, cells: int) -> None:
        if cells:
            self.excused[why] = self.excused.get(why, 0) + cells


def month_index(column: str) -> str:
    return f"(year({column}) * 12 + month({column}) - 1)::integer"


def kpi(name: str, reference: str = "select * from marts.{name}", **more: Any) -> Mart:
    published = (
        f"select {month_index('period_start')} as m, * from published.{name} where grain = 'month'"
        " and segment_dimension in ('total', 'plan', 'industry', 'region')"
    )
    return Mart(name, ("m", *SEGMENT), published, reference.replace("{name}", name), **more)


def from_units(*columns: str) -> str:
    """Columns of ten-thousandths as exact decimals."""
    return ", ".join(f"({c}::decimal(18, 0) * 0.0001::decimal(4, 4))::decimal(18, 4) as {c}" for c in columns)


RUNNING_YEAR_AGO = "a year before the as-of date is that day; the reference takes the month's end in the running month"
NRR = kpi(
    "kpi_nrr",
    rules=(
        Rule(
            RUNNING_YEAR_AGO,
            ("cohort_12m_customers", "cohort_12m_mrr", "retained_12m_mrr", "nrr_12m", "grr_12m"),
            "r.m > {complete}",
        ),
    ),
)
LTV = kpi(
    "kpi_ltv",
    """select *, (select count(*) from marts.kpi_ltv w
            where w.segment_dimension = l.segment_dimension and w.segment_value = l.segment_value
                and w.m between least(l.m, {complete}) - 11 and least(l.m, {complete})) as _months
        from marts.kpi_ltv l""",
    measures=("customers",),
    rules=(
        Rule(
            "a history of twelve months is the company's; the reference counts the months with a row of the segment",
            ("ltv_status",),
            "p.ltv_status = 'ok' and r.ltv_status = 'short_history' and r._months < 12",
        ),
    ),
)
COHORTS = Mart(
    "kpi_cohorts",
    ("cohort", "m", *SEGMENT),
    f"""select {month_index("cohort_month")} as cohort, cohort + months_since_start as m, *
        from published.kpi_cohorts where segment_dimension in ('total', 'plan', 'industry', 'region')""",
    "select * from marts.kpi_cohorts where m <= {complete}",  # published: complete months only
)
ACCOUNT_LTV = Mart(
    "fct_account_ltv",
    ("account_id",),
    "select * from published.fct_account_ltv",
    """select l.*, coalesce(i.converted, 0) as _converted, coalesce(s.opening, 0) as _plan_sample,
            exists (from state.items t where t.account_id = l.account_id and {now} in (t.ms, t.me) and not t.is_trial)
                as _changed_now
        from marts.fct_account_ltv l
        left join (select account_id, count(*) as converted from state.invoices where currency <> 'JPY' group by all) i
            using (account_id)
        left join (select account_id, plan from marts.fct_account_month where m = {now}) n using (account_id)
        left join (select segment_value as plan, sum(opening_customers) as opening from marts.kpi_churn
            where segment_dimension = 'plan' and m between {complete} - 11 and {complete} group by all) s
            on s.plan = n.plan""",
    rules=(
        Rule(
            "tenure is whole months up to the last paid day; the reference counts the firsts of a month up to the as-of"
            " date",
            ("tenure_months",),
            "p.current_mrr = 0 or abs(p.tenure_months - r.tenure_months) <= 1",
        ),
        Rule(
            "every converted invoice is rounded once; the reference rounds their sum",
            ("paid_total", "ltv_realised"),
            "abs(p.paid_total - r.paid_total) <= 0.00005 * (r._converted + 1) and r._converted > 0"
            " and abs(p.ltv_realised - r.ltv_realised) <= 0.00005 * (r._converted + 2)",
        ),
        Rule(
            "who is no customer has no expected LTV; the reference says 0",
            ("ltv_expected",),
            "p.current_mrr = 0 and p.ltv_expected is null and r.ltv_expected = 0",
        ),
        Rule(
            "a plan with a small sample or without churn has the lifetime of the total (touch tiers)",
            ("ltv_expected",),
            f"p.current_mrr > 0 and (r.ltv_expected is null or r._plan_sample < {SMALL_SAMPLE})",
        ),
        Rule(
            "the plan of expected LTV is that of the as-of date, in the reference that of the month's opening",
            ("ltv_expected",),
            "p.current_mrr > 0 and r._changed_now",
        ),
    ),
)
ACCOUNT_MONTH = Mart(
    "fct_account_month",
    ("account_id", "m"),
    f"""select account_id, {month_index("period_start")} as m, plan, opening_mrr - fx_impact_mrr as published,
            opening_mrr as opening, closing_mrr as closing, movement,
            case when m <= {{complete}} then mrr_12m_ago end as year_ago  -- otherwise {RUNNING_YEAR_AGO}
        from published.fct_account_periods where grain = 'month'""",
    f"""select account_id, m, plan, plan12, seats, paid_day, movement, _year_ago,
            {from_units("published", "opening", "closing", "year_ago")}
        from (
            select * replace (case when m <= {{complete}} then year_ago end as year_ago), year_ago as _year_ago
            from marts.fct_account_month)""",
    measures=("published", "opening", "closing", "year_ago"),
    left_out={
        "plan12": "not published; it decides the segments of kpi_nrr",
        "seats": "not published per account; summed in kpi_engagement",
        "paid_day": "not published per account; counted in kpi_churn and kpi_engagement",
    },
    rules=(
        Rule(
            "an account that pays nothing has its free plan or none; the reference keeps that of a year ago",
            ("plan",),
            "p.plan in ('Free', '(unknown)')"
            " and r.opening = 0 and r.closing = 0 and not r.paid_day and r._year_ago > 0",
        ),
    ),
)
DAILY = Mart(
    "fct_engagement_daily",
    ("date", *SEGMENT),
    f"select {month_index('date')} as m, * from published.fct_engagement_daily",
    "select * from marts.fct_engagement_daily",
    is_regrouped=True,
)
MARTS = (
    *(kpi(name) for name in ("kpi_mrr", "kpi_churn", "kpi_retention")),
    NRR,
    LTV,
    COHORTS,
    *(kpi(name, is_regrouped=True) for name in ("kpi_engagement", "kpi_onboarding", "kpi_satisfaction", "kpi_support")),
    DAILY,
    ACCOUNT_LTV,
    ACCOUNT_MONTH,
)


def compare(home: Path, work: Path, as_of: dt.date) -> dict[str, Any]:
    """The release served in `home` against the reference's folder `work`, both as of the same date.

    Returns `cells`, `differences`, `marts` (an Outcome each) and `totals` (name, reference, published) as JSON types.
    """
    tomorrow = as_of + dt.timedelta(days=1)
    now, complete = as_of.year * 12 + as_of.month - 1, tomorrow.year * 12 + tomorrow.month - 2
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(work / "compare")}) as con:
        con.execute(f"attach '{home}/published/kpi.duckdb' as published (read_only)")
        con.execute(f"attach '{work}/reference.duckdb' as state (read_only)")
        con.execute("create schema marts")
        for mart in MARTS:
            con.execute(f"create view marts.{mart.name} as from '{work}/marts/{mart.name}.parquet'")
        con.execute("""create temp table lapsed as select distinct m, plan from marts.fct_account_month
            where opening = 0 and closing = 0 and not paid_day and year_ago > 0""")
        outcomes = [compare_mart(con, mart, now, complete) for mart in MARTS]
        totals = _totals(con, home, as_of, json.loads((work / "totals.json").read_text()))
    wrong = sum(row["reference"] != row["published"] for row in totals)
    return {
        "as_of": as_of.isoformat(),
        "cells": sum(o.cells for o in outcomes),
        "differences": sum(o.differences for o in outcomes) + wrong,
        "totals": totals,
        "marts": [asdict(outcome) for outcome in outcomes],
    }


def compare_mart(con: duckdb.DuckDBPyConnection, mart: Mart, now: int, complete: int) -> Outcome:
    """One mart, on a connection with the schemas its SQL reads; `now` and `complete` are month indexes."""
    outcome = Outcome(mart.name)
    for name, sql in (("p", mart.published), ("r", mart.reference)):
        con.execute(f"create or replace temp table {name} as {sql.format(now=now, complete=complete)}")
    columns = _compared_columns(con, mart)
    if mart.is_regrouped:
        for name in ("p", "r"):
            _regroup(con, name, mart, columns, outcome)
    _compare_rows(con, mart, columns, outcome)
    for column, type_ in columns.items():
        _compare_column(con, mart, column, type_, complete, outcome)
    return outcome


def _compared_columns(con: duckdb.DuckDBPyConnection, mart: Mart) -> dict[str, str]:
    """The reference's columns that are compared, with their types. Raises ValueError for one that is not published."""
    published, reference = _types(con, "p"), _types(con, "r")
    wanted = {
        name: type_
        for name, type_ in reference.items()
        if name not in {*mart.key, *mart.left_out, "m"} and not name.startswith("_")
    }
    if missing := wanted.keys() - published.keys():
        raise ValueError(f"{mart.name}: the published table lacks {sorted(missing)}, which the reference has")
    return wanted


def _types(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in con.execute(f"describe {table}").fetchall()}


def _regroup(
    con: duckdb.DuckDBPyConnection, table: str, mart: Mart, columns: Mapping[str, str], outcome: Outcome
) -> None:
    """Sums the plans between which accounts that pay nothing are told apart differently, month by month."""
    is_mixed = """segment_dimension = 'plan'
        and (segment_value in ('Free', '(unknown)') or (m, segment_value) in (select (m, plan) from lapsed))"""
    figures = ", ".join(
        f"case when is_mixed then null else any_value({name}) end as {name}"
        if is_inexact(type_)
        else f"sum({name}) as {name}"
        for name, type_ in columns.items()
    )
    kept = ", ".join(name for name in mart.key if name != "segment_value")
    con.execute(f"""create or replace temp table {table} as
        with told as (select *, {is_mixed} as is_mixed from {table})
        select {kept}, case when is_mixed then '(regrouped)' else segment_value end as segment_value, is_mixed,
            {figures}
        from told group by {kept}, {len(mart.key)}, is_mixed""")
    if table == "p":
        mixed = con.execute(f"select count(*) from {table} where is_mixed").fetchone()[0]
        outcome.excuse(REGROUPED, mixed * sum(map(is_inexact, columns.values())))


def _compare_rows(con: duckdb.DuckDBPyConnection, mart: Mart, columns: Mapping[str, str], outcome: Outcome) -> None:
    """A row that only one side has must be empty."""
    measures = mart.measures or tuple(name for name, type_ in columns.items() if type_ not in ("VARCHAR", "DATE"))
    is_empty = " and ".join(f"coalesce({name}, 0) = 0" for name in measures)
    key = ", ".join(mart.key)
    for one, other, side in (("p", "r", "published"), ("r", "p", "in the reference")):
        alone = f"from {one} anti join {other} using ({key})"
        rows, filled = con.execute(f"select count(*), count(*) filter (not ({is_empty})) {alone}").fetchone()
        outcome.excuse(EMPTY_ROW, (rows - filled) * len(columns))
        outcome.differences += filled * len(columns)
        for row in con.execute(f"select {key} {alone} where not ({is_empty}) order by all limit {SHOWN}").fetchall():
            outcome.shown.append(f"{_where(mart, row)}: only {side}")


def _compare_column(
    con: duckdb.DuckDBPyConnection, mart: Mart, column: str, type_: str, complete: int, outcome: Outcome
) -> None:
    p, r = f"p.{column}", f"r.{column}"
    differs = f"{p} is distinct from {r}"
    if is_inexact(type_):
        differs += f" and coalesce(abs({p} - {r}) > {TOLERANCE} * greatest(abs({p}), abs({r})), true)"
    rules = [rule for rule in mart.rules if column in rule.columns]
    rule_of = " ".join(f"when {rule.where.format(complete=complete)} then {index}" for index, rule in enumerate(rules))
    rule_of = f"case {rule_of} else -1 end" if rules else "-1"
    joined = f"from p join r using ({', '.join(mart.key)})"
    counted = "not p.is_mixed" if mart.is_regrouped and is_inexact(type_) else "true"
    outcome.cells += con.execute(f"select count(*) {joined} where {counted}").fetchone()[0]
    for rule, cells in con.execute(f"select {rule_of}, count(*) {joined} where {differs} group by all").fetchall():
        if rule >= 0:
            outcome.excuse(rules[rule].why, cells)
            continue
        outcome.differences += cells
        shown = f"select {', '.join(mart.key)}, {p}, {r} {joined} where {differs} and {rule_of} = -1 order by all"
        for *key, published, reference in con.execute(f"{shown} limit {SHOWN}").fetchall():
            outcome.shown.append(f"{_where(mart, key)} {column}: published {published}, reference {reference}")


def is_inexact(type_: str) -> bool:
    """Whether the reference holds a column as a ratio or mean, and not as money, a count or text."""
    return type_ == "DOUBLE"


def _where(mart: Mart, key: Sequence[Any]) -> str:
    named = dict(zip(mart.key, key, strict=True))
    months = {name: f"{named[name] // 12}-{named[name] % 12 + 1:02}" for name in ("cohort", "m") if name in named}
    return " ".join([mart.name, *(str(value) for value in {**named, **months}.values())])


def _totals(
    con: duckdb.DuckDBPyConnection, home: Path, as_of: dt.date, told: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The control totals of the reference beside the same figures of the release, as text."""
    month = f"grain = 'month' and segment_dimension = 'total' and period_start = date '{as_of.replace(day=1)}'"
    mrr, customers = con.execute(f"select closing_mrr, customers from published.kpi_mrr where {month}").fetchone()
    (users,) = con.execute(f"select active_users from published.kpi_engagement where {month}").fetchone()
    published = {
        "closing_mrr": mrr,
        "customers": customers,
        "events": _events(con, home / "lake", as_of),
        "active_users_last_month": users,
    }
    return [
        {"total": name, "reference": f"{Decimal(str(told[name])):f}", "published": f"{Decimal(str(value)):f}"}
        for name, value in published.items()
    ]


def _events(con: duckdb.DuckDBPyConnection, lake: Path, as_of: dt.date) -> int:
    """Events of the lake without repeats and test accounts, a month at a time; they arrive a day late at most."""
    newest = _delivered(lake / "crm" / "accounts", as_of)[-1]
    con.execute(f"create temp table tested as select account_id from '{newest}/*.parquet' where is_test")
    days = _delivered(lake / "usage" / "events", as_of)
    found = 0
    for month in sorted({path.name[13:20] for path in days}):
        first = dt.date.fromisoformat(f"{month}-01")
        following = (first + dt.timedelta(days=31)).replace(day=1)
        files = [str(f) for d in days if str(first) <= d.name[13:] <= str(following) for f in d.glob("*.parquet")]
        found += con.execute(
            f"""select count(*) from (select distinct occurred_at::date, event_id from read_parquet({files})
            where occurred_at >= '{first}' and occurred_at < '{following}'
            and account_id not in (from tested))"""
        ).fetchone()[0]
    return found


def _delivered(extract: Path, as_of: dt.date) -> list[Path]:
    """The partitions of an extract up to the as-of date; the empty file of the extract lies in one of year 9999."""
    return sorted(path for path in extract.glob("extract_date=*") if path.name[13:] <= str(as_of))
