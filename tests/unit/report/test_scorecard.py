"""The scorecard as it is printed."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from dagster_project.report.scorecard import scorecard
from dagster_project.settings import ConfigurationError


def printed(table, width: int = 80, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    console.print(table)
    return console.file.getvalue()


def rows(text: str) -> dict[str, list[str]]:
    """Cells by the first one; columns are two or more blanks apart."""
    split = [[cell for cell in line.strip().split("  ") if cell] for line in text.splitlines()]
    return {cells[0]: [cell.strip() for cell in cells[1:]] for cells in split if cells}


def test_the_latest_complete_month_against_month_and_year_before(release):
    text = printed(scorecard(release.path))
    assert "KPIs of 2024-02, as of 2024-03-15" in text
    assert "release R-7" in text
    found = rows(text)
    assert found["Metric"] == ["2024-02", "vs 2024-01", "vs 2023-02"]
    assert found["MRR"] == ["2,500,000", "+25.0%", "+150.0%"]
    assert found["Customers"] == ["99", "-1.0%", "+23.8%"]
    assert found["Customer churn rate"] == ["2.50%", "+0.50 pp", "-0.50 pp"]
    assert found["NRR"] == ["1.050", "+0.040", "-"]
    assert found["Average lifetime (months)"] == ["-", "-", "-"]


def test_one_row_per_metric_in_the_order_of_the_specification(release):
    names = list(rows(printed(scorecard(release.path))))
    ordered = ["MRR", "Customers", "Customer churn rate", "NRR", "GRR", "Average lifetime (months)", "LTV", "Zeal <&>"]
    assert [name for name in names if name in ordered] == ordered


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_fits_a_pipe_without_colours(release, language):
    release.execute("update kpi_values set value = value * 1e6 where metric_id in ('mrr', 'ltv')")
    text = printed(scorecard(release.path, language))
    assert "\x1b" not in text
    assert "2,500,000,000,000" in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_japanese_names_stay_aligned(release):
    text = printed(scorecard(release.path, "ja"))
    values = {"2,500,000": None, "99 ": None, "2.50%": None, "1.050": None}
    for line in text.splitlines():
        for value in values:
            if value in line:
                values[value] = cell_len(line[: line.index(value)] + value.strip())
    assert len(set(values.values())) == 1
    assert "2024-02 のKPI(基準日 2024-03-15)" in text
    assert "平均継続期間(か月)" in text


def test_colour_follows_the_direction_of_the_metric(release):
    text = printed(scorecard(release.path), terminal=True)
    coloured = {change: colour for colour, change in re.findall(r"\x1b\[(\d+)m *([-+][^\x1b]+?) *\x1b", text)}
    green, red = "32", "31"
    assert (coloured["+25.0%"], coloured["-1.0%"]) == (green, red)
    assert (coloured["+0.50 pp"], coloured["-0.50 pp"]) == (red, green)


def test_small_samples_are_marked_and_explained(release):
    assert "small sample" not in printed(scorecard(release.path))
    release.execute("update kpi_values set is_small_sample = true where metric_id = 'nrr'")
    text = printed(scorecard(release.path))
    assert rows(text)["NRR"] == ["1.050", "*", "+0.040", "-"]
    assert "* small sample" in text


def test_a_metric_whose_period_is_not_over_is_marked(release):
    release.execute("update kpi_values set is_complete = false where metric_id = 'grr'")
    text = printed(scorecard(release.path))
    assert rows(text)["GRR"][:2] == ["0.970", "~"]
    assert "~ period still running" in text


def test_without_a_complete_month_the_running_one_is_named(new_release):
    release = new_release()
    release.month("2024-03", {"mrr": 1234.0}, complete=False)
    text = printed(scorecard(release.path))
    assert "No complete month yet: 2024-03 is still running, as of 2024-03-15" in text
    assert rows(text)["MRR"] == ["1,234", "~", "-", "-"]


def test_an_empty_company(new_release):
    text = printed(scorecard(new_release().path))
    assert "No figures yet, as of 2024-03-15" in text
    assert rows(text)["MRR"] == ["-", "-", "-"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"kpi\.duckdb: no such file"):
        scorecard(tmp_path / "kpi.duckdb")
