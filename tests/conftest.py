"""What several test folders share: homes with deliveries in them, and the releases of whole runs."""

from __future__ import annotations

import csv
import datetime as dt
import fcntl
import io
import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.nightly import Night, run_night
from dagster_project.sample import write_sample_company
from dagster_project.settings import Settings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RAVENSTACK_FILES = {
    "accounts": "crm/accounts",
    "subscriptions": "crm/subscriptions",
    "feature_usage": "usage/events",
    "support_tickets": "crm/support_tickets",
    "churn_events": "crm/churn_events",
}


@dataclass(frozen=True)
class Company:
    """A KEIZOKU_HOME under test: deliver to it, run nights on it, read what it serves."""

    settings: Settings

    @property
    def home(self) -> Path:
        return self.settings.home

    def deliver(
        self, extract: str, day: str, content: str | Iterable[Mapping[str, Any]], name: str = "part.csv"
    ) -> Path:
        """Lands a file: text as it is, rows as CSV with the columns of the first row."""
        path = self.settings.landing / extract / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else as_csv(list(content)), encoding="utf-8", newline="")
        return path

    def night(self, as_of: str | None = None):
        return run_night(Night(self.settings, dt.date.fromisoformat(as_of) if as_of else None))

    def query(self, sql: str, *parameters) -> list[tuple]:
        """Rows of a query on the served release."""
        with duckdb.connect(str(self.settings.published / "kpi.duckdb"), read_only=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def rows(self, table: str, where: str = "true") -> list[dict[str, Any]]:
        """Rows of a served table as mappings."""
        with duckdb.connect(str(self.settings.published / "kpi.duckdb"), read_only=True) as connection:
            cursor = connection.execute(f"select * from {table} where {where}")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str, *parameters) -> Any:
        """The one value of a query on the served release."""
        ((found,),) = self.query(sql, *parameters)
        return found


# What a release says of itself and of the way there: which release was before it, which files were withdrawn.
OF_ONE_RELEASE = frozenset({"meta_release", "meta_restatements", "meta_row_accounting", "meta_quality_results"})


def require_equal(found: Path, expected: Path, but: frozenset[str] = frozenset(), told: str = "") -> None:
    """Fails with the table, some rows and `told` where two DuckDB files do not hold the same tables, `but` some, with
    the same rows, cell by cell and as often."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{found}' as found (read_only); attach '{expected}' as expected (read_only)")
        columns = connection.execute(
            """select database_name, table_name, list((column_name, data_type) order by column_index)
               from duckdb_columns() semi join duckdb_tables() using (database_name, table_name)
               group by all order by all"""
        ).fetchall()
        assert [c[1:] for c in columns if c[0] == "found"] == [c[1:] for c in columns if c[0] == "expected"], told
        for table in {table for _, table, _ in columns} - but:
            differing = connection.execute(
                f"""(select 'found', * from (from found.{table} except all from expected.{table}) limit 3)
                    union all
                    (select 'expected', * from (from expected.{table} except all from found.{table}) limit 3)"""
            ).fetchall()
            assert differing == [], f"{table}\n{told}"


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """While it lasts, the system lets no file of this process grow beyond `size` bytes: EFBIG, "File too large"."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def as_csv(rows: list[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    """A KEIZOKU_* variable of the developer's own shell must not change what a test sees."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KEIZOKU_{name.upper()}", raising=False)


@pytest.fixture
def company(tmp_path) -> Company:
    """An empty home with the standard contracts."""
    return Company(Settings(home=tmp_path / "home"))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`made_once(name, make)`: a folder that `make` fills, once for all processes of this run. Read it only."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers

    def made(name: str, make: Callable[[Path], None]) -> Path:
        place, is_whole = folder / name, folder / f"{name}.made"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_whole.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                is_whole.touch()
        return place

    return made


@pytest.fixture(scope="session")
def sample_company(made_once) -> Company:
    """The sample company as `make nightly` builds it, published. Read it only."""

    def make(home: Path) -> None:
        company = Company(Settings(home=home))
        write_sample_company(company.settings.landing)
        company.night()

    return Company(Settings(home=made_once("sample", make)))


@pytest.fixture(scope="session")
def ravenstack(made_once) -> Company:
    """RavenStack as of 2024-12-31, published. Read it only."""
    if not (SHARED_DATA / "ravenstack").is_dir():
        pytest.skip(f"{SHARED_DATA / 'ravenstack'} is absent: the RavenStack extracts are not part of the repository")

    def company(home: Path) -> Company:
        return Company(Settings(home=home, contracts="ravenstack"))

    def make(home: Path) -> None:
        for name, extract in RAVENSTACK_FILES.items():
            folder = home / "landing" / extract / "2024-12-31"
            folder.mkdir(parents=True)
            shutil.copy(SHARED_DATA / "ravenstack" / f"ravenstack_{name}.csv", folder)
        company(home).night("2024-12-31")

    return company(made_once("ravenstack", make))
