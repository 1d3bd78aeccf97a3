"""kpi_scorecard of the sample company, recomputed in plain Python from kpi_values and the targets in use."""

from __future__ import annotations

import csv
import datetime as dt
import shutil

import duckdb
import pytest

from dagster_project.settings import Settings, load_business_settings
from dagster_project.targets import DEFAULT_TARGETS
from dagster_project.transformation import build, require_success

MONTHS = {"month": 1, "quarter": 3, "year": 12}
KEY = ("metric_id", "grain", "segment_dimension", "segment_value")


def months_before(day: dt.date, months: int) -> dt.date:
    index = day.year * 12 + day.month - 1 - months
    return dt.date(index // 12, index % 12 + 1, 1)


def target_of(key: tuple, start: dt.date, targets: list[dict]) -> dict | None:
    known = [t for t in targets if tuple(t[k] for k in KEY) == key and t["valid_from"] <= start.isoformat()]
    return max(known, key=lambda t: t["valid_from"], default=None)


def status_of(value: float | None, target: dict | None, direction: str) -> str:
    if target is None:
        return "no_target"
    if value is None:
        return "no_data"
    sign = 1 if direction == "up" else -1
    if sign * (value - float(target["target"])) >= 0:
        return "on_track"
    threshold = target["warning_threshold"]
    return "at_risk" if threshold and sign * (value - float(threshold)) >= 0 else "missed"


def judged(values: list[tuple], directions: dict[str, str], targets: list[dict]) -> dict[tuple, tuple]:
    """Status, previous value and value a year ago by (metric, grain, segment dimension, segment value, start)."""
    known = {row[:5]: row[5] for row in values}
    return {
        (*key, start): (
            status_of(value, target_of(key, start, targets), directions[key[0]]),
            known.get((*key, months_before(start, MONTHS[key[1]]))),
            known.get((*key, months_before(start, 12))),
        )
        for (*parts, start), value in known.items()
        for key in [tuple(parts)]
    }


def difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


@pytest.mark.parametrize("source", ["default", "given"])
def test_every_row_of_the_scorecard(source, sample_company, tmp_path):
    given = tmp_path / "it's targets.csv"
    given.write_text(
        "metric_id,grain,segment_dimension,segment_value,valid_from,target,warning_threshold\n"
        "nrr,month,plan,Team,2024-02-01,1.01,\n"
        "nrr,month,plan,Team,2025-02-15,1,0.9\n"
        "customer_churn_rate,quarter,total,all,2024-01-01,0.05,0.06\n"
        "mrr,year,total,all,2024-04-01,1,\n"
    )
    if source == "default":
        database, targets_file = sample_company.settings.published / "kpi.duckdb", DEFAULT_TARGETS
    else:
        settings = Settings(home=tmp_path / "home", targets=given)
        shutil.copytree(sample_company.settings.lake, settings.lake)
        ((as_of,),) = sample_company.query("select as_of_date from meta_release")
        require_success(build(settings, load_business_settings(settings), as_of))
        database, targets_file = settings.warehouse, given
    targets = list(csv.DictReader(targets_file.open()))
    with duckdb.connect(str(database), read_only=True) as connection:
        values = connection.execute(f"select {', '.join(KEY)}, period_start, value from kpi_values").fetchall()
        directions = dict(connection.execute("select metric_id, direction from dim_metrics").fetchall())
        found = connection.execute(
            f"select {', '.join(KEY)}, period_start, status, previous_value, year_ago_value, "
            "value, change, year_change from kpi_scorecard"
        ).fetchall()
    expected = judged(values, directions, targets)
    assert {row[:5]: row[5:8] for row in found} == expected
    assert len(found) == len(values) == len(expected)
    assert all(row[9:] == (difference(row[8], row[6]), difference(row[8], row[7])) for row in found)
    assert len({status for status, *_ in expected.values()}) >= 4
