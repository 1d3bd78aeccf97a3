"""The targets file: what is accepted, and what is refused with file, row and reason."""

from __future__ import annotations

import datetime as dt

import pytest

from dagster_project.settings import ConfigurationError, Settings
from dagster_project.targets import COLUMNS, Target, load_targets, write_targets

HEADER = ",".join(COLUMNS)
SOUND = "nrr,month,plan,Gold,2025-04-01,1.05,1,sales,2025-07-01"


def settings(tmp_path, text: str, encoding: str = "utf-8") -> Settings:
    path = tmp_path / "targets.csv"
    path.write_bytes(text.encode(encoding))
    return Settings(home=tmp_path / "home", targets=path)


def test_the_default_targets_are_sound(tmp_path):
    targets = load_targets(Settings(home=tmp_path))
    assert {"nrr", "customer_churn_rate"} <= {target.metric_id for target in targets}
    assert all(target.owner and target.reviewed_on for target in targets)


def test_a_file_replaces_the_default_targets(tmp_path):
    expected = Target("nrr", "month", "plan", "Gold", dt.date(2025, 4, 1), 1.05, 1.0, "sales", dt.date(2025, 7, 1))
    assert load_targets(settings(tmp_path, f"{HEADER}\n{SOUND}\n")) == [expected]
    assert load_targets(settings(tmp_path, f"\ufeff{HEADER}\r\n{SOUND}\r\n")) == [expected]


def test_columns_come_in_any_order_and_the_total_goes_without_saying(tmp_path):
    found = load_targets(
        settings(tmp_path, "target,metric_id,valid_from,grain\n0.02,customer_churn_rate,2025-04-01,year\n")
    )
    assert found == [Target("customer_churn_rate", "year", "total", "all", dt.date(2025, 4, 1), 0.02, None, None, None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (SOUND.replace("nrr", "magic"), "row 3: metric_id: found 'magic', expected one of "),
        (SOUND.replace("month", "week"), "row 3: grain: found 'week', expected one of month, quarter, year"),
        (SOUND.replace("plan", "colour"), "row 3: segment_dimension: found 'colour', expected one of total, plan"),
        (SOUND.replace("plan", "total"), "row 3: segment_value: found 'Gold'; 'all' belongs to 'total'"),
        (SOUND.replace("1.05", "high"), "row 3: target: found 'high', expected a number"),
        (SOUND.replace("1.05", "nan"), "row 3: target: found 'nan', expected a finite number"),
        (SOUND.replace("1.05", ""), "row 3: target: found nothing, expected a value"),
        (SOUND.replace("2025-04-01", "01.04.2025"), "row 3: valid_from: found '01.04.2025', expected a date"),
        (SOUND.replace("2025-07-01", "July"), "row 3: reviewed_on: found 'July', expected a date"),
        (
            SOUND.replace("1.05,1", "1.05,1.1"),
            "row 3: warning_threshold: found 1.1, expected it at or below the target",
        ),
        (
            "customer_churn_rate,month,total,all,2025-04-01,0.02,0.01,,",
            "row 3: warning_threshold: found 0.01, expected it at or above the target 0.02",
        ),
        (SOUND.replace("1.05", "1.1"), "row 3: the same metric, grain, segment and valid_from as row 2"),
        (SOUND + ",more", "row 3: found 10 values, expected 9"),
    ],
)
def test_a_row_that_is_no_target_is_refused(tmp_path, row, reason):
    with pytest.raises(ConfigurationError) as error:
        load_targets(settings(tmp_path, f"{HEADER}\n{SOUND}\n{row}\n"))
    assert str(tmp_path / "targets.csv") in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (f"{HEADER},colour", "row 1: unknown column colour"),
        (HEADER.replace("target,", ""), "row 1: missing column target"),
        (f"{HEADER},owner", "row 1: repeated column owner"),
        ("", "row 1: missing column metric_id, grain, valid_from, target; found no header"),
    ],
)
def test_a_header_that_is_no_header_is_refused(tmp_path, header, reason):
    with pytest.raises(ConfigurationError, match=r"targets\.csv") as error:
        load_targets(settings(tmp_path, f"{header}\n"))
    assert reason in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"KEIZOKU_TARGETS=.*absent.csv: cannot be read as UTF-8 CSV"):
        load_targets(Settings(home=tmp_path, targets=tmp_path / "absent.csv"))
    with pytest.raises(ConfigurationError, match="cannot be read as UTF-8 CSV"):
        load_targets(settings(tmp_path, f"{HEADER}\n{SOUND.replace('sales', '営業')}\n", "cp932"))


def test_what_is_written_reads_the_same(tmp_path):
    targets = load_targets(settings(tmp_path, f"{HEADER}\n{SOUND.replace('Gold', chr(34) + 'Go,ld' + chr(34))}\n"))
    path = write_targets(targets, tmp_path / "new" / "kpi_targets.csv")
    assert load_targets(Settings(home=tmp_path, targets=path)) == targets
