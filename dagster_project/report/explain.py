"""The accounts behind a number: what each adds to the parts of a published figure, and how the parts make it.

The contributions come from the warehouse that the release was built in, the figure from the release; every sum is
exact (whole numbers and DECIMAL) and compared with what is published. Finding both and printing is the caller's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from math import isclose
from pathlib import Path

import duckdb
from rich import box
from rich.markup import escape
from rich.table import Table

from dagster_project.settings import ConfigurationError

Amount = Decimal | int

# Views of the warehouse whose columns carry the names of the additive columns of the marts. In this order: a column
# of the first that has it.
SOURCES = (
    "int_account_contributions",
    "int_account_cohort_contributions",
    "int_account_response_contributions",
    "int_account_lifetime_contributions",
)
# How the parts make the value, for metrics whose catalogue row has no numerator or one that is no sum over accounts:
# products and quotients from left to right of summed columns, constants of the period and whole numbers.
FORMULAS = {
    "nps": "100 * numerator / denominator",
    "average_lifetime_months": "lifetime_dividend / lifetime_divisor",
    "ltv": "closing_mrr / customers * gross_margin * lifetime_dividend / lifetime_divisor",
    "ltv_purchase": "purchased_amount / purchases * purchases / purchasers / months"
    " * lifetime_dividend / lifetime_divisor",
    "ltv_realised": "paid_total / customers * gross_margin",
    "active_users_daily_average": "user_days / days_elapsed",
    "active_users_weekly_average": "user_weeks / days_elapsed",
    "stickiness": "user_days / days_elapsed / active_users",
    "session_minutes_average": "session_microseconds / sessions / 60000000",
    "csat_average": "csat_score / csat_responses",
    "ticket_resolution_hours_mean": "resolution_microseconds / tickets_resolved / 3600000000",
}
# Medians and percentiles are no sums: how many values each account has, and what they add up to.
RANKED = {
    "session_minutes_median": ("sessions", "session_microseconds"),
    "ticket_resolution_hours_median": ("tickets_resolved", "resolution_microseconds"),
    "ticket_resolution_hours_p90": ("tickets_resolved", "resolution_microseconds"),
    "first_response_hours_median": ("tickets_responded", "response_microseconds"),
    "days_to_onboard_median": ("onboarded_accounts", "days_to_onboard"),
}
CONSTANTS = {
    "days_elapsed": "select days_elapsed from int_periods where grain = ? and period_start = ?",
    "months": "select months from int_trailing_windows where grain = ? and period_start = ?",
    "gross_margin": "select any_value(gross_margin) from kpi_ltv where grain = ? and period_start = ?",
}
NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Part:
    """One summed quantity of a figure: the name the formula uses, and the expression summed per account."""

    name: str
    expression: str


@dataclass(frozen=True)
class Figure:
    """A published figure: its place in kpi_values, its value, and what is printed about it."""

    metric_id: str
    table_name: str
    grain: str
    period_start: date
    period_label: str
    dimension: str
    segment_value: str
    value: float | None
    numerator: float | None
    denominator: float | None


@dataclass(frozen=True)
class Contribution:
    """What one account adds to each part; its segment values by dimension, several where it changed meanwhile."""

    account_id: str
    segments: Mapping[str, tuple[str, ...]]
    amounts: tuple[Amount, ...]


@dataclass(frozen=True)
class Explanation:
    """A figure, its parts and all accounts that add something to one of them, largest first."""

    figure: Figure
    parts: tuple[Part, ...]
    formula: str
    constants: Mapping[str, Fraction]
    dimensions: tuple[str, ...]
    contributions: tuple[Contribution, ...]

    @property
    def totals(self) -> dict[str, Amount]:
        """The sum of all contributions to each part, exactly."""
        return {p.name: sum(c.amounts[i] for c in self.contributions) for i, p in enumerate(self.parts)}

    @property
    def value(self) -> float | None:
        """The value that totals and constants make; None for a division by zero and for medians."""
        exact = None if self.figure.metric_id in RANKED else evaluated(self.formula, {**self.totals, **self.constants})
        return None if exact is None else float(exact)


def explain(release: Path, warehouse: Path, metric_id: str, period: str, segment: str | None = None) -> Explanation:
    """The accounts behind `metric_id` in `period` (a period_label, or an ISO date: its month), of the total or of a
    `segment` "dimension=value".

    `release` is the published kpi.duckdb, `warehouse` the one it was built in. Raises ConfigurationError, naming what
    exists, for an unknown metric, period or segment, and where the contributions do not make the published figure.
    """
    with closing(duckdb.connect()) as connection:
        for name, path in (("release", release), ("warehouse", warehouse)):
            connection.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as {name} (read_only)")
        connection.execute("use release")
        figure = _figure(connection, metric_id, period, segment)
        connection.execute("use warehouse")
        parts, formula = _recipe(connection, metric_id)
        constants = _constants(connection, figure, formula)
        dimensions = _dimensions(connection, figure.table_name)
        contributions = _contributions(connection, figure, parts, dimensions)
        explanation = Explanation(figure, parts, formula, constants, dimensions, contributions)
        connection.execute("use release")
        _require_published(connection, explanation)
        return explanation


def evaluated(formula: str, values: Mapping[str, Amount | Fraction]) -> Fraction | None:
    """A formula of names and whole numbers joined by * and /, from left to right; None for a division by zero."""
    first, *rest = formula.split()
    result = _operand(first, values)
    for operator, word in zip(rest[::2], rest[1::2], strict=True):
        operand = _operand(word, values)
        if operator == "/" and operand == 0:
            return None
        result = result / operand if operator == "/" else result * operand
    return result


def _operand(word: str, values: Mapping[str, Amount | Fraction]) -> Fraction:
    return Fraction(int(word) if word.isdigit() else values[word])


def _figure(connection: duckdb.DuckDBPyConnection, metric_id: str, period: str, segment: str | None) -> Figure:
    tables = dict(connection.execute("select metric_id, table_name from dim_metrics order by metric_id").fetchall())
    if metric_id not in tables:
        raise ConfigurationError(f"METRIC: found {metric_id!r}, expected one of {', '.join(tables)}")
    table = tables[metric_id]
    grain, start, label = _period(connection, table, period)
    dimension, value = _segment(connection, table, grain, start, segment)
    row = connection.execute(
        "select value, numerator, denominator from kpi_values where metric_id = ? and grain = ? and period_start = ?"
        " and segment_dimension = ? and segment_value = ?",
        [metric_id, grain, start, dimension, value],
    ).fetchone()
    return Figure(metric_id, table, grain, start, label, dimension, value, *row)


def _period(connection: duckdb.DuckDBPyConnection, table: str, period: str) -> tuple[str, date, str]:
    known = connection.execute(
        f"select distinct grain, period_start, period_label from {table} order by grain, period_start"
    ).fetchall()
    label = period
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", period):
        label = period[:7]
        _require_date(period)
    for row in known:
        if row[2] == label:
            return row
    ranges = [
        f"{grain}s {of_grain[0]} to {of_grain[-1]}"
        for grain in ("month", "quarter", "year")
        if (of_grain := [found for name, _, found in known if name == grain])
    ]
    raise ConfigurationError(
        f"PERIOD: found {period!r}, expected a date or a label of {table}: {'; '.join(ranges) or 'it has none yet'}"
    )


def _require_date(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"PERIOD: found {text!r}, which is no date: {error}") from None


def _segment(
    connection: duckdb.DuckDBPyConnection, table: str, grain: str, start: date, segment: str | None
) -> tuple[str, str]:
    if segment is None:
        return "total", "all"
    known: dict[str, list[str]] = {}
    for dimension, value in connection.execute(
        f"select segment_dimension, segment_value from {table} where grain = ? and period_start = ? order by all",
        [grain, start],
    ).fetchall():
        known.setdefault(dimension, []).append(value)
    dimension, equals, value = segment.partition("=")
    if not equals or dimension not in known:
        expected = ", ".join(d for d in known if d != "total")
        raise ConfigurationError(f"--segment: found {segment!r}, expected DIMENSION=VALUE with one of {expected}")
    if value not in known[dimension]:
        raise ConfigurationError(
            f"--segment: found {dimension} {value!r}, expected one of {', '.join(known[dimension])}"
        )
    return dimension, value


def _recipe(connection: duckdb.DuckDBPyConnection, metric_id: str) -> tuple[tuple[Part, ...], str]:
    """The parts of a metric and how they make its value: the catalogue's expressions, or the recipes above."""
    value_column, numerator, denominator = connection.execute(
        "select value_column, numerator, denominator from metrics where metric_id = ?", [metric_id]
    ).fetchone()
    if metric_id in RANKED:
        count, total = RANKED[metric_id]
        return (Part(count, count), Part(total, total)), f"a rank among {count} values, which no sum can give"
    formula = FORMULAS.get(metric_id) or ("numerator / denominator" if numerator else value_column)
    if "numerator" in formula.split():
        return (Part("numerator", numerator), Part("denominator", denominator)), formula
    names = [name for name in dict.fromkeys(NAME.findall(formula)) if name not in CONSTANTS]
    return tuple(Part(name, name) for name in names), formula


def _constants(connection: duckdb.DuckDBPyConnection, figure: Figure, formula: str) -> dict[str, Fraction]:
    return {
        name: Fraction(connection.execute(sql, [figure.grain, figure.period_start]).fetchone()[0])
        for name, sql in CONSTANTS.items()
        if name in formula.split()
    }


def _contributions(
    connection: duckdb.DuckDBPyConnection, figure: Figure, parts: Sequence[Part], dimensions: Sequence[str]
) -> tuple[Contribution, ...]:
    """Contributions of all accounts that add something, largest first. Parts of one figure may stand in different
    sources, and an account in several segments of one source: then it has them all."""
    amounts: dict[str, list[Amount]] = {}
    segments: dict[str, dict[str, set[str]]] = {}
    for source, positions in _by_source(connection, parts).items():
        own = [d for d in dimensions if d in _columns(connection, source)]
        for account, found, *sums in _summed(connection, source, figure, own, [parts[i] for i in positions]):
            if not any(sums):
                continue
            row = amounts.setdefault(account, [0] * len(parts))
            for position, amount in zip(positions, sums, strict=True):
                row[position] = amount
            for dimension, values in zip(own, found, strict=True):
                segments.setdefault(account, {}).setdefault(dimension, set()).update(values)
    rows = [
        Contribution(account, {d: tuple(sorted(segments[account][d])) for d in dimensions}, tuple(row))
        for account, row in amounts.items()
    ]
    return tuple(sorted(rows, key=lambda c: (*(-abs(amount) for amount in c.amounts), c.account_id)))


def _summed(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    figure: Figure,
    dimensions: Sequence[str],
    parts: Sequence[Part],
) -> list[tuple]:
    """Rows of account_id, the distinct values of each dimension, and the sum of each part."""
    lists = ", ".join(f"list(distinct {d})" for d in dimensions)
    sums = ", ".join(f"sum({part.expression})" for part in parts)
    condition, values = "true", []
    if figure.dimension != "total":
        condition, values = f"{figure.dimension} = ?", [figure.segment_value]
    return connection.execute(
        f"select account_id, [{lists}], {sums} from {source} where grain = ? and period_start = ? and {condition}"
        " group by account_id",
        [figure.grain, figure.period_start, *values],
    ).fetchall()


def _by_source(connection: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> dict[str, list[int]]:
    """The positions of the parts that each source can sum."""
    columns = {source: _columns(connection, source) for source in SOURCES}
    found: dict[str, list[int]] = {}
    for position, part in enumerate(parts):
        fitting = [source for source in SOURCES if set(NAME.findall(part.expression)) <= columns[source]]
        if not fitting:
            raise ConfigurationError(
                f"metrics.csv: no account adds to {part.expression!r}: expected columns of one of {', '.join(SOURCES)},"
                f" or a recipe among {Path(__file__).name}'s FORMULAS"
            )
        found.setdefault(fitting[0], []).append(position)
    return found


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {row[0] for row in connection.execute(f"describe {table}").fetchall()}


def _dimensions(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[str, ...]:
    found = connection.execute(f"select distinct segment_dimension from {table} order by 1").fetchall()
    return tuple(dimension for (dimension,) in found if dimension != "total")


def _require_published(connection: duckdb.DuckDBPyConnection, explanation: Explanation) -> None:
    """Refuses an explanation that does not add up to the release: it would explain another number."""
    figure, totals = explanation.figure, explanation.totals
    columns = _columns(connection, figure.table_name)
    found: dict[str, tuple[Amount | float, Amount | float]] = {}
    for part in explanation.parts:
        if set(NAME.findall(part.expression)) <= columns:
            published = _published(connection, figure, part.expression)
            if published != totals[part.name]:
                found[part.expression] = (totals[part.name], published)
    value = explanation.value
    if figure.value is not None and value is not None and not isclose(value, figure.value, rel_tol=1e-9):
        found[figure.metric_id] = (value, figure.value)
    if found:
        named = "; ".join(f"{name} {ours} against {theirs} as published" for name, (ours, theirs) in found.items())
        raise ConfigurationError(
            f"the warehouse does not hold what the served release was built from ({named}): other settings or another"
            " version built it since; `keizoku nightly` builds both anew"
        )


def _published(connection: duckdb.DuckDBPyConnection, figure: Figure, expression: str) -> Amount:
    ((found,),) = connection.execute(
        f"select {expression} from {figure.table_name}"
        " where grain = ? and period_start = ? and segment_dimension = ? and segment_value = ?",
        [figure.grain, figure.period_start, figure.dimension, figure.segment_value],
    ).fetchall()
    return found


def heads(explanation: Explanation) -> list[str]:
    """Column names: account_id, the segment dimensions, and each part."""
    return ["account_id", *explanation.dimensions, *(part.name for part in explanation.parts)]


def as_csv(explanation: Explanation, limit: int = 0) -> str:
    """The contributions for a machine: a header and one line per account, without totals; 0 is no limit."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads(explanation))
    writer.writerows(_cells(c) for c in _limited(explanation.contributions, limit))
    return text.getvalue()


def as_table(explanation: Explanation, limit: int = 50) -> Table:
    """The contributions for a reader, with a line of totals over all accounts; 0 is no limit."""
    figure, totals = explanation.figure, explanation.totals
    shown = _limited(explanation.contributions, limit)
    where = "" if figure.dimension == "total" else f", {figure.dimension}={figure.segment_value}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left", show_footer=True)
    table.title = escape(f"{figure.metric_id} {figure.period_label}{where}: {_text(figure.value)}")
    table.caption = escape(_summary(explanation, len(shown)))
    names = heads(explanation)
    first_part = len(names) - len(explanation.parts)
    for position, name in enumerate(names):
        if position >= first_part:
            table.add_column(name, f"{totals[name]:,}", justify="right", no_wrap=True)
        else:
            table.add_column(name, "total" if position == 0 else "", overflow="fold")
    for contribution in shown:
        cells = _cells(contribution)
        table.add_row(*map(escape, cells[:first_part]), *(f"{amount:,}" for amount in contribution.amounts))
    return table


def _summary(explanation: Explanation, shown: int) -> str:
    lines = [f"{part.name} = {part.expression}" for part in explanation.parts if part.name != part.expression]
    lines += [f"{name} = {float(value):g}" for name, value in explanation.constants.items()]
    lines.append(f"{explanation.figure.metric_id} = {explanation.formula}")
    lines.append(f"{shown:,} of {len(explanation.contributions):,} accounts that add something; total: all of them")
    return "\n".join(lines)


def _cells(contribution: Contribution) -> list[str]:
    values = (" / ".join(found) for found in contribution.segments.values())
    return [contribution.account_id, *values, *map(str, contribution.amounts)]


def _limited(contributions: Sequence[Contribution], limit: int) -> Iterable[Contribution]:
    return contributions[:limit] if limit else contributions


def _text(value: float | None) -> str:
    return "no value (nothing to divide by, or not measured)" if value is None else f"{value:,.6g}"
