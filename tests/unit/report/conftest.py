"""A published release made by hand: a few metrics, and the months a test asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pytest

METRICS = {
    "ltv": ("LTV", "LTV(顧客生涯価値)", "currency", "up", "kpi_ltv"),
    "mrr": ("MRR", "MRR(月次経常収益)", "currency", "up", "kpi_mrr"),
    "customers": ("Customers", "顧客数", "count", "up", "kpi_mrr"),
    "customer_churn_rate": ("Customer churn rate", "解約率(カスタマーチャーン)", "share", "down", "kpi_churn"),
    "nrr": ("NRR", "NRR(売上継続率)", "ratio", "up", "kpi_nrr"),
    "grr": ("GRR", "GRR(グロス売上継続率)", "ratio", "up", "kpi_nrr"),
    "average_lifetime_months": ("Average lifetime", "平均継続期間", "months", "up", "kpi_ltv"),
    "zeal": ("Zeal <&>", "熱意", "points", "none", "kpi_zeal"),
}
TOTAL = ("total", "all")
SCHEMA = """
create table dim_metrics (metric_id varchar, name_en varchar, name_ja varchar, unit varchar, direction varchar,
    table_name varchar, definition_en varchar, definition_ja varchar, formula varchar);
create table kpi_values (metric_id varchar, grain varchar, period_start date, segment_dimension varchar,
    segment_value varchar, period_end date, value double, is_complete boolean, is_small_sample boolean);
create table kpi_mrr (grain varchar, period_start date, segment_dimension varchar, segment_value varchar,
    fx_impact_mrr decimal(18,4), new_mrr decimal(18,4), reactivation_mrr decimal(18,4), expansion_mrr decimal(18,4),
    contraction_mrr decimal(18,4), churned_mrr decimal(18,4));
create table kpi_ltv (grain varchar, period_start date, segment_dimension varchar, segment_value varchar,
    ltv_status varchar);
create table meta_release as select 'R-7' as release_id, timestamp '2031-05-06 07:08:09' as created_at,
    date '2024-03-15' as as_of_date, 'R-6' as previous_release_id;
create table meta_restatements (grain varchar, period_start date, table_name varchar, column_name varchar,
    segment_dimension varchar, segment_value varchar, previous_value double, new_value double, release_id varchar);
create table meta_quality_results (suite varchar, expectation varchar, column_name varchar, severity varchar,
    success boolean, observed_value varchar, evaluated_rows bigint, unexpected_count bigint);
create table meta_row_accounting (system varchar, extract varchar, extract_date date, file_name varchar,
    delivered_rows bigint, accepted_rows bigint, quarantined_rows bigint, superseded_rows bigint, status varchar);
"""

# Per month: value by metric id. The year before, the month before, the month shown.
HISTORY: dict[str, dict[str, float | None]] = {
    "2023-02": {"mrr": 1_000_000, "customers": 80, "customer_churn_rate": 0.03, "nrr": None, "grr": None, "ltv": None},
    "2024-01": {"mrr": 2_000_000, "customers": 100, "customer_churn_rate": 0.02, "nrr": 1.01, "grr": 0.99, "ltv": 5e5},
    "2024-02": {"mrr": 2_500_000, "customers": 99, "customer_churn_rate": 0.025, "nrr": 1.05, "grr": 0.97, "ltv": 6e5},
}


class Release:
    """A release file that a test fills; what it is given is written when its `path` is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[tuple[str, tuple]] = []
        self.execute(SCHEMA)
        for metric_id, (name_en, name_ja, unit, direction, table) in METRICS.items():
            words = (f"What {metric_id} means", f"{name_ja}の定義", "a / b")
            self.insert("dim_metrics", metric_id, name_en, name_ja, unit, direction, table, *words)

    @property
    def path(self) -> Path:
        with duckdb.connect(str(self._path)) as connection:
            for sql, parameters in self._pending:
                connection.execute(sql, parameters or None)
        self._pending.clear()
        return self._path

    def execute(self, sql: str, parameters: tuple = ()) -> None:
        self._pending.append((sql, parameters))

    def insert(self, table: str, *row: object) -> None:
        self.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)

    def month(
        self, label: str, values: Mapping[str, float | None], *, complete: bool = True, small: bool = False
    ) -> None:
        """The total's values of one month, and its movements."""
        start = dt.date.fromisoformat(f"{label}-01")
        for metric_id, value in values.items():
            self.insert("kpi_values", metric_id, "month", start, "total", "all", start, value, complete, small)
        self.insert("kpi_mrr", "month", start, "total", "all", 0, 700_000, 10_000, 50_000, 30_000, 230_000)
        self.insert("kpi_ltv", "month", start, "total", "all", "short_history")

    def segment(self, label: str, dimension: str, name: str, values: Mapping[str, float | None], small: bool) -> None:
        start = dt.date.fromisoformat(f"{label}-01")
        for metric_id, value in values.items():
            self.insert("kpi_values", metric_id, "month", start, dimension, name, start, value, True, small)

    def restate(
        self, label: str, column: str, previous: float | None, new: float | None, segment: tuple[str, str] = TOTAL
    ) -> None:
        start = dt.date.fromisoformat(f"{label}-01")
        self.insert("meta_restatements", "month", start, "kpi_mrr", column, *segment, previous, new, "R-7")

    def extract(self, system: str, extract: str, counts: tuple[int, int, int, int], status: str = "accepted") -> None:
        self.insert("meta_row_accounting", system, extract, dt.date(2024, 3, 1), "f.csv", *counts, status)


@pytest.fixture
def new_release(tmp_path: Path) -> Callable[[], Release]:
    """Makes a release without any figures."""
    return lambda: Release(tmp_path / "kpi.duckdb")


@pytest.fixture
def release(new_release) -> Release:
    """Three complete months, the running one after them, segments, quality results and row accounting."""
    made = new_release()
    for label, values in HISTORY.items():
        made.month(label, values)
    made.month("2024-03", {"mrr": 9_999_999, "customers": 1}, complete=False)
    made.segment("2024-02", "plan", "Gold", {"mrr": 2_000_000, "customers": 90, "nrr": 1.1}, small=False)
    made.segment("2024-02", "plan", "<script>alert('x')</script> & Co", {"mrr": 500_000, "customers": 9}, small=True)
    made.segment("2024-02", "owner", "(unknown)", {"mrr": 2_500_000, "customers": 99}, small=False)
    made.extract("crm", "accounts", (1_500, 1_400, 60, 40))
    made.extract("crm", "accounts", (500, 500, 0, 0))
    made.extract("crm", "invoices", (0, 0, 0, 0), "missing")
    made.insert("meta_quality_results", "raw/crm", "known", "account_id", "warning", False, "<b>7</b>", 2_000, 7)
    made.insert("meta_quality_results", "raw/crm", "unique", None, "critical", True, "0", 2_000, 0)
    return made
