"""The figures of one release that are shown, read from its published DuckDB file.

Belongs here: SQL over the published tables and the small frozen records made of its rows. How a figure looks
does not belong here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.settings import ConfigurationError

# As in the KPI specification; metrics it does not name follow, by table and id.
METRIC_ORDER = (
    *("mrr", "arr", "customers", "arpa", "customer_churn_rate", "revenue_churn_rate", "gross_revenue_churn_rate"),
    *("net_revenue_churn_rate", "customer_retention_rate", "nrr", "grr", "nrr_12m", "grr_12m", "quick_ratio"),
    *("upsell_rate", "cross_sell_rate", "average_lifetime_months", "ltv", "ltv_purchase", "ltv_realised"),
    *("onboarding_completion_rate", "days_to_onboard_median", "nps", "csat_rate", "csat_average"),
    *("ticket_resolution_hours_median", "ticket_resolution_hours_p90", "ticket_resolution_hours_mean"),
    *("first_response_hours_median", "tickets_opened", "tickets_resolved", "ticket_backlog"),
    *("active_users", "active_users_daily_average", "active_users_weekly_average", "stickiness"),
    *("seat_utilisation", "active_account_rate", "sessions", "sessions_per_active_user"),
    *("session_minutes_average", "session_minutes_median", "trial_conversion_rate"),
)
SEGMENT_METRICS = ("customers", "mrr", "customer_churn_rate", "nrr")
MOVEMENTS = ("new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr", "fx_impact_mrr")
MOST_RESTATED = 10
REQUIRED_TABLES = ("dim_metrics", "kpi_values")
TOTAL = "segment_dimension = 'total' and segment_value = 'all'"


@dataclass(frozen=True)
class Metric:
    """One row of `dim_metrics`. `unit` as listed there; `direction` is up, down or none."""

    metric_id: str
    name_en: str
    name_ja: str
    unit: str
    direction: str
    definition_en: str
    definition_ja: str
    formula: str


@dataclass(frozen=True)
class Value:
    """One value in the metric's unit (a share as a fraction of 1), None where it is NULL or absent."""

    value: float | None
    is_small_sample: bool = False
    is_complete: bool = True


NOTHING = Value(None)


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month that has figures; `is_complete` where any of its figures is."""

    start: dt.date
    is_complete: bool

    @property
    def label(self) -> str:
        return self.start.strftime("%Y-%m")


@dataclass(frozen=True)
class Segment:
    """One segment in the month shown; `values` by metric id (SEGMENT_METRICS)."""

    dimension: str
    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class ExtractRows:
    """Row accounting of one extract over all its files; `remarks` counts what was not plainly accepted, or missing."""

    extract: str
    files: int
    delivered: int
    accepted: int
    quarantined: int
    superseded: int
    remarks: str


@dataclass(frozen=True)
class FailedCheck:
    """One expectation that did not hold."""

    suite: str
    expectation: str
    column_name: str
    severity: str
    observed_value: str
    evaluated_rows: int
    unexpected_count: int


@dataclass(frozen=True)
class Quality:
    """What was delivered and what the checks said; `checks` is the number of checks evaluated, None where unknown."""

    extracts: tuple[ExtractRows, ...]
    checks: int | None
    failed: tuple[FailedCheck, ...]


@dataclass(frozen=True)
class RestatedFigure:
    """One column of a KPI table whose total was restated in complete `months`; the month in which it moved most, and
    its values there, None where the release before or this one has none."""

    table_name: str
    column_name: str
    months: int
    month_start: dt.date
    previous: float | None
    new: float | None


@dataclass(frozen=True)
class Restatements:
    """What the release changed in complete periods: the `count` of figures over all grains and segments since the
    release `since` (None for a first one), and of the total those that moved most, relatively."""

    since: str | None
    count: int
    largest: tuple[RestatedFigure, ...]


@dataclass(frozen=True)
class Comparison:
    """One metric in the month shown, the month before it, and the same month a year before."""

    metric: Metric
    current: Value
    previous: Value
    year_ago: Value


@dataclass(frozen=True)
class Figures:
    """Everything shown of one release.

    `month` is the month shown: the latest complete one, without any the running one, None without figures.
    `values` holds the total's months by (metric id, first day); `movements` the MRR movements of the total by
    (column of `kpi_mrr`, first day), in the reporting currency, contraction and churn positive as published;
    `restatements` is None where the release has no such table.
    """

    release_id: str | None
    as_of_date: dt.date | None
    metrics: tuple[Metric, ...]
    months: tuple[Month, ...]
    month: Month | None
    values: Mapping[tuple[str, dt.date], Value]
    movements: Mapping[tuple[str, dt.date], float]
    segments: tuple[Segment, ...]
    ltv_status: str | None
    restatements: Restatements | None
    quality: Quality

    def value(self, metric_id: str, start: dt.date | None) -> Value:
        return self.values.get((metric_id, start), NOTHING) if start else NOTHING

    def metric(self, metric_id: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.metric_id == metric_id), None)

    @property
    def previous_start(self) -> dt.date | None:
        return months_before(self.month.start, 1) if self.month else None

    @property
    def year_ago_start(self) -> dt.date | None:
        return months_before(self.month.start, 12) if self.month else None

    def comparison(self, metric: Metric) -> Comparison:
        starts = (self.month.start if self.month else None, self.previous_start, self.year_ago_start)
        return Comparison(metric, *(self.value(metric.metric_id, start) for start in starts))


def months_before(start: dt.date, months: int) -> dt.date:
    """The first day of the month that many months before the month beginning with `start`."""
    year, month = divmod(start.year * 12 + start.month - 1 - months, 12)
    return dt.date(year, month + 1, 1)


def read_figures(database: Path) -> Figures:
    """The figures of the release in `database`, which is opened read-only.

    Raises ConfigurationError where the file is absent or is no published release.
    """
    if not database.is_file():
        raise ConfigurationError(f"{database}: no such file; expected the kpi.duckdb of a release. Publish one first.")
    with closing(duckdb.connect(str(database), read_only=True)) as connection:
        return _Reader(connection, database).figures()


class _Reader:
    """Reads what exists: tables a release does not have yet count as empty."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: Path) -> None:
        self._connection = connection
        self._tables = {
            name for (name,) in self._all("select table_name from duckdb_tables() where schema_name = 'main'")
        }
        missing = [name for name in REQUIRED_TABLES if name not in self._tables]
        if missing:
            raise ConfigurationError(
                f"{database}: table {', '.join(missing)} not found; expected a published release. "
                "Give the kpi.duckdb of a release folder."
            )

    def figures(self) -> Figures:
        months = self._months()
        month = month_shown(months)
        start = month.start if month else None
        release_id, as_of_date = self._release()
        return Figures(
            release_id=release_id,
            as_of_date=as_of_date,
            metrics=self._metrics(),
            months=months,
            month=month,
            values=self._values(),
            movements=self._movements(),
            segments=self._segments(start),
            ltv_status=self._ltv_status(start),
            restatements=self._restatements(),
            quality=self._quality(),
        )

    def _all(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple]:
        return self._connection.execute(query, list(parameters)).fetchall()

    def _release(self) -> tuple[str | None, dt.date | None]:
        if "meta_release" not in self._tables:
            return None, None
        rows = self._all("select release_id, as_of_date from meta_release order by all")
        return rows[0] if rows else (None, None)

    def _metrics(self) -> tuple[Metric, ...]:
        columns = "metric_id, name_en, name_ja, unit, direction, definition_en, definition_ja, formula"
        rows = self._all(f"select {columns} from dim_metrics order by table_name, metric_id")
        metrics = [Metric(*(text or "" for text in row)) for row in rows]
        place = {metric_id: position for position, metric_id in enumerate(METRIC_ORDER)}
        return tuple(sorted(metrics, key=lambda metric: place.get(metric.metric_id, len(place))))

    def _months(self) -> tuple[Month, ...]:
        rows = self._all(
            "select period_start, coalesce(bool_or(is_complete), false) from kpi_values "
            f"where grain = 'month' and {TOTAL} group by period_start order by period_start"
        )
        return tuple(Month(*row) for row in rows)

    def _values(self) -> dict[tuple[str, dt.date], Value]:
        rows = self._all(
            "select metric_id, period_start, value, coalesce(is_small_sample, false), coalesce(is_complete, false) "
            f"from kpi_values where grain = 'month' and {TOTAL}"
        )
        return {(metric_id, start): Value(*rest) for metric_id, start, *rest in rows}

    def _movements(self) -> dict[tuple[str, dt.date], float]:
        if "kpi_mrr" not in self._tables:
            return {}
        rows = self._all(f"select period_start, {', '.join(MOVEMENTS)} from kpi_mrr where grain = 'month' and {TOTAL}")
        return {
            (name, start): float(amount)
            for start, *amounts in rows
            for name, amount in zip(MOVEMENTS, amounts, strict=True)
            if amount is not None
        }

    def _segments(self, start: dt.date | None) -> tuple[Segment, ...]:
        rows = self._all(
            "select segment_dimension, segment_value, metric_id, value, coalesce(is_small_sample, false), "
            "coalesce(is_complete, false) from kpi_values where grain = 'month' and period_start = ? "
            "and segment_dimension <> 'total' and list_contains(?, metric_id) order by all",
            [start, list(SEGMENT_METRICS)],
        )
        found: dict[tuple[str, str], dict[str, Value]] = {}
        for dimension, name, metric_id, *rest in rows:
            found.setdefault((dimension, name), {})[metric_id] = Value(*rest)
        return tuple(Segment(dimension, name, values) for (dimension, name), values in found.items())

    def _ltv_status(self, start: dt.date | None) -> str | None:
        if "kpi_ltv" not in self._tables:
            return None
        query = f"select ltv_status from kpi_ltv where grain = 'month' and period_start = ? and {TOTAL}"
        rows = self._all(query, [start])
        return rows[0][0] if rows else None

    def _restatements(self) -> Restatements | None:
        if not {"meta_restatements", "meta_release"} <= self._tables:
            return None
        [(since, count)] = self._all(
            "select (select min(previous_release_id) from meta_release), count(*) from meta_restatements"
        )
        rows = self._all(
            f"""
            with total as (
                select *, abs(coalesce(new_value, 0) - coalesce(previous_value, 0))
                    / greatest(abs(coalesce(previous_value, 0)), abs(coalesce(new_value, 0))) as change
                from meta_restatements where grain = 'month' and {TOTAL}
            )
            select table_name, column_name, count(*) over (partition by table_name, column_name) as months,
                period_start, previous_value, new_value
            from total
            qualify row_number() over (partition by table_name, column_name order by change desc, period_start desc) = 1
            order by change desc, table_name, column_name limit {MOST_RESTATED}
            """
        )
        return Restatements(since, count, tuple(RestatedFigure(*row) for row in rows))

    def _quality(self) -> Quality:
        checks, failed = None, ()
        if "meta_quality_results" in self._tables:
            [(checks,)] = self._all("select count(*) from meta_quality_results")
            rows = self._all(
                "select suite, expectation, coalesce(column_name, ''), severity, coalesce(observed_value, ''), "
                "coalesce(evaluated_rows, 0), coalesce(unexpected_count, 0) "
                "from meta_quality_results where success is not true order by all"
            )
            failed = tuple(FailedCheck(*row) for row in rows)
        return Quality(self._extracts(), checks, failed)

    def _extracts(self) -> tuple[ExtractRows, ...]:
        if "meta_row_accounting" not in self._tables:
            return ()
        rows = self._all(
            """
            with by_status as (
                select system || '/' || extract as name, status, count(*) as files, sum(delivered_rows) as delivered,
                    sum(accepted_rows) as accepted, sum(quarantined_rows) as quarantined,
                    sum(superseded_rows) as superseded
                from meta_row_accounting group by all
            )
            select name, coalesce(sum(files) filter (where status <> 'missing'), 0)::bigint, sum(delivered)::bigint,
                sum(accepted)::bigint, sum(quarantined)::bigint, sum(superseded)::bigint,
                coalesce(string_agg(replace(status, '_', ' ') || ' ' || files, ', ' order by status)
                    filter (where status <> 'accepted'), '')
            from by_status group by name order by name
            """
        )
        return tuple(ExtractRows(*row) for row in rows)


def month_shown(months: Sequence[Month]) -> Month | None:
    """The latest complete month; without any the latest, None without months."""
    complete = [month for month in months if month.is_complete]
    return max(complete or months, default=None)
