"""A home folder with deliveries, and what ingest made of them."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb
import pytest

from dagster_project.extracts.contract import Contract, load_contracts
from dagster_project.extracts.ingest import ingest
from dagster_project.extracts.records import AccountingRow, Finding, IngestReport
from dagster_project.settings import SHIPPED_CONTRACTS, BusinessSettings, Settings

DAY = "2024-03-31"
ACCOUNTS = "account_id,account_name\nA1,One\nA2,Two\n"
SUBSCRIPTIONS = (
    "subscription_id,account_id,product,plan,amount,billing_interval,start_date,end_date\n"
    "S1,A1,core,Basic,100,month,2024-01-01,\n"
    "S2,A2,core,Basic,50.5,month,2024-02-01,2024-03-01\n"
)


@cache
def standard_contracts() -> dict[str, Contract]:
    return load_contracts(SHIPPED_CONTRACTS / "standard")


@dataclass
class Company:
    """Deliveries of one company in a temporary home."""

    home: Path
    contracts: dict[str, Contract] = field(default_factory=lambda: dict(standard_contracts()))
    time_zone: str = "Asia/Tokyo"

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, threads=1)

    def deliver(self, extract: str, content: str | bytes, *, day: str = DAY, name: str = "part.csv") -> Path:
        path = self.home / "landing" / extract / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        stamp = 1_700_000_000_000_000_000 + len(list(self.home.rglob("*"))) * 1_000_000
        os.utime(path, ns=(stamp, stamp))
        return path

    def copy(
        self, extract: str, query: str, *, day: str = DAY, name: str = "part.parquet", how: str = "parquet"
    ) -> Path:
        path = self.deliver(extract, b"", day=day, name=name)
        duckdb.execute(f"copy ({query}) to '{path}' (format {how})")
        return path

    def ingest(self, **options) -> IngestReport:
        business = BusinessSettings.model_construct(reporting_time_zone=self.time_zone)
        return ingest(self.settings, self.contracts, business, **options)

    def change(self, extract: str, **changes) -> None:
        self.contracts[extract] = self.contracts[extract].model_copy(update=changes)

    def lake(self, extract: str, columns: str = "*") -> list[tuple]:
        pattern = self.home / "lake" / extract / "extract_date=*" / "*.parquet"
        return duckdb.execute(
            f"select {columns} from read_parquet('{pattern}', hive_partitioning = false) order by all"
        ).fetchall()

    def quarantine(self, extract: str) -> list[tuple]:
        """(row, column, reason, message) of refused rows."""
        folder = self.home / "quarantine" / extract
        if not list(folder.glob("extract_date=*/*.parquet")):
            return []
        return duckdb.execute(
            f"select _row, column_name, reason, message from '{folder}/extract_date=*/*.parquet' order by all"
        ).fetchall()


def rows_of(report: IngestReport, extract: str, day: str = DAY) -> list[AccountingRow]:
    system, name = extract.split("/")
    date = dt.date.fromisoformat(day)
    return [row for row in report.deliveries if (row.system, row.extract, row.extract_date) == (system, name, date)]


def finding(report: IngestReport, extract: str, expectation: str, column: str | None = None) -> Finding:
    [found] = [
        one
        for one in report.findings
        if (one.suite, one.expectation) == (f"ingest/{extract}", expectation) and column in (None, one.column_name)
    ]
    return found


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company with two accounts and two subscriptions, delivered and not yet ingested."""
    made = Company(tmp_path / "home")
    made.deliver("crm/accounts", ACCOUNTS)
    made.deliver("crm/subscriptions", SUBSCRIPTIONS)
    return made


@pytest.fixture
def tell():
    """The helpers that pick accounting rows and findings out of a report."""

    class Tell:
        rows_of = staticmethod(rows_of)
        finding = staticmethod(finding)

    return Tell
