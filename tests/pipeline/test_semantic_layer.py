"""The metrics of dbt/models/semantic, asked for with `mf query`, against the published values."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Company

from dagster_project.settings import DBT_PROJECT
from dagster_project.transformation import run_dbt

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dbt_metricflow") is None,
    reason="dbt-metricflow is absent: `make test` installs it, or `pip install -r requirements-semantic.lock`",
)

FROM_ACCOUNTS = ["mrr", "arr", "customers", "arpa", "customer_churn_rate", "revenue_churn_rate",
                 "gross_revenue_churn_rate", "net_revenue_churn_rate", "customer_retention_rate", "nrr", "grr",
                 "quick_ratio", "active_users"]  # fmt: skip
OF_THE_TOTAL = ["upsell_rate", "cross_sell_rate", "nps", "csat_rate", "trial_conversion_rate"]
AS_PUBLISHED = ["nrr_12m", "grr_12m", "ltv", "stickiness", "onboarding_completion_rate",
                "ticket_resolution_hours_median"]  # fmt: skip
NEVER_KNOWN = {"onboarding_completion_rate"}  # no steps are configured
MONTH = "metric_time__month"

Query = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="module")
def query(sample_company: Company, tmp_path_factory: pytest.TempPathFactory) -> Query:
    """`mf query` with these arguments on the release that is served; returns the rows of its CSV."""
    project = tmp_path_factory.mktemp("semantic") / "dbt"
    run_dbt("parse", project / "target", {})
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(DBT_PROJECT / name, project)
    environment = {
        **os.environ,
        "DBT_TARGET": "published",
        "KEIZOKU_HOME": str(sample_company.home),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # mf asks a package index for its newest version: nobody answers here
    }

    def ask(*arguments: str) -> list[dict[str, str]]:
        answer = project / "answer.csv"
        command = [str(Path(sys.executable).parent / "mf"), "query", *arguments, "--csv", str(answer)]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        with answer.open(newline="") as rows:
            return list(csv.DictReader(rows))

    return ask


def test_every_headline_metric_of_every_month_is_the_published_one(query: Query, sample_company: Company) -> None:
    metrics = [*FROM_ACCOUNTS, *OF_THE_TOTAL, *AS_PUBLISHED]
    rows = query("--metrics", ",".join(metrics), "--group-by", MONTH)
    found = {(name, row[MONTH][:10]): row[name] for row in rows for name in metrics}
    published = {
        (name, str(month)): value
        for name, month, value in sample_company.query(
            "select metric_id, period_start, value from kpi_values "
            "where grain = 'month' and segment_dimension = 'total' and list_contains(?, metric_id)",
            metrics,
        )
    }
    assert differences(found, published) == {}
    assert {name for name, _ in published if all(v is None for (n, _), v in published.items() if n == name)} == (
        NEVER_KNOWN
    )


@pytest.mark.parametrize("dimension", ["plan", "touch_tier"])
def test_a_segment_has_the_published_values(query: Query, sample_company: Company, dimension: str) -> None:
    segment = f"account_month__{dimension}"
    rows = query("--metrics", ",".join(FROM_ACCOUNTS), "--group-by", f"{MONTH},{segment}")
    found = {(name, row[MONTH][:10], row[segment]): row[name] for row in rows for name in FROM_ACCOUNTS}
    published = {
        (name, str(month), value): figure
        for name, month, value, figure in sample_company.query(
            "select metric_id, period_start, segment_value, value from kpi_values "
            "where grain = 'month' and segment_dimension = ? and list_contains(?, metric_id)",
            dimension,
            FROM_ACCOUNTS,
        )
    }
    assert len({segment for _, _, segment in published}) > 2
    assert differences(found, published) == {}


def test_a_quarter_shows_its_last_month(query: Query, sample_company: Company) -> None:
    metrics = ["mrr", "nrr", "nrr_12m", "csat_rate"]
    rows = query("--metrics", ",".join(metrics), "--group-by", "metric_time__quarter")
    found = {(name, row["metric_time__quarter"][:10]): row[name] for row in rows for name in metrics}
    published = {
        (name, str(quarter)): value
        for name, quarter, value in sample_company.query(
            "select metric_id, cast(date_trunc('quarter', period_start) as date), arg_max_null(value, period_start) "
            "from kpi_values where grain = 'month' and segment_dimension = 'total' and list_contains(?, metric_id) "
            "group by all",
            metrics,
        )
    }
    assert differences(found, published) == {}


def differences(found: dict[tuple, str], published: dict[tuple, float | None]) -> dict[tuple, tuple]:
    """What mf answered and what is published, where they differ. A figure without a row on one side is nothing, 0 or
    NULL, on the other: mf knows no month or segment without an account in it, the published tables have no gaps."""
    answered = {key: float(text) if text else None for key, text in found.items()}
    same = {key for key in answered.keys() & published.keys() if answered[key] == published[key]}
    nothing = {key for key in answered.keys() ^ published.keys() if not (answered.get(key) or published.get(key))}
    return {
        key: (answered.get(key, "no row"), published.get(key, "no row"))
        for key in (answered.keys() | published.keys()) - same - nothing
    }
