"""Charts as SVG: geometry, gaps, axes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.report.charts import (
    Chart,
    Scale,
    Series,
    area_chart,
    column_chart,
    line_chart,
    nice_ticks,
    sparkline,
)

MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")
FINITE = st.floats(min_value=-1e15, max_value=1e15, allow_nan=False, allow_subnormal=False)


def chart(*values: tuple[float | None, ...], unit: str = "ratio", months=MONTHS, baseline: float = 0.0) -> Chart:
    series = tuple(Series(f"S{i} <&>", f"s{i}", each) for i, each in enumerate(values))
    return Chart("c", "Title <&>", unit, months, series, baseline)


def parts(svg: str, tag: str, style: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter(tag) if style in each.get("class", "").split()]


@given(low=FINITE, high=FINITE)
def test_ticks_enclose_the_values_and_are_few(low, high):
    low, high = sorted((low, high))
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + step * 1e-6 and high - step * 1e-6 <= ticks[-1]
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10_159_608, (0, 2.5e6, 5e6, 7.5e6, 1e7, 1.25e7)),
        (0.98, 1.02, (0.98, 0.99, 1.0, 1.01, 1.02)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(high=st.integers(min_value=0, max_value=10**9))
def test_counts_have_whole_ticks(high):
    assert all(tick == int(tick) for tick in nice_ticks(0, high, smallest_step=1.0))


def test_a_gap_cuts_the_line_and_a_lonely_month_is_a_dot():
    svg = line_chart(chart((1.0, 2.0, None, 3.0)))
    lines = [line.get("d").count("L") for line in parts(svg, "path", "line")]
    assert lines == [1, 0]
    assert len(parts(svg, "circle", "dot")) == 1


def test_nothing_is_drawn_at_zero_for_a_missing_month():
    assert "–" in line_chart(chart((1.0, None, 1.0, 1.0)))
    assert len(parts(area_chart(chart((1.0, None, None, 2.0))), "path", "area")) == 2


def test_columns_stack_away_from_the_baseline_in_proportion():
    svg = column_chart(chart((100.0,), (50.0,), (-50.0,), unit="currency", months=("2024-01",)))
    new, expansion, churn = (
        {key: float(each.get(key)) for key in ("y", "height")} for each in parts(svg, "rect", "column")
    )
    assert new["height"] == pytest.approx(2 * expansion["height"], abs=0.2)
    assert expansion["y"] + expansion["height"] == pytest.approx(new["y"], abs=0.2)
    assert churn["y"] == pytest.approx(new["y"] + new["height"], abs=0.2)
    assert churn["height"] == pytest.approx(expansion["height"], abs=0.2)


def test_the_scale_puts_high_values_on_top():
    scale = Scale((0.0, 1.0, 2.0))
    assert scale.y(2.0) < scale.y(1.0) < scale.y(0.0)
    assert scale.y(1.0) == pytest.approx((scale.y(0.0) + scale.y(2.0)) / 2)


@pytest.mark.parametrize("draw", [line_chart, area_chart, column_chart])
@pytest.mark.parametrize("values", [(5.0, 0.0, -3.0, None), (None, None, None, None), (0.0, 0.0, 0.0, 0.0)])
def test_every_chart_is_described_and_well_formed(draw, values):
    root = ET.fromstring(draw(chart(values)))
    ids = {each.get("id"): each for each in root.iter() if each.get("id")}
    title, description = (ids[name] for name in root.get("aria-labelledby").split())
    assert (root.get("role"), title.text) == ("img", "Title <&>")
    assert (description.text == "No values.") is all(value is None for value in values)
    assert len(list(root.iter("rect"))) >= len(MONTHS)


@pytest.mark.parametrize("count", [1, 2, 7, 24, 36, 120])
def test_month_labels_stay_readable(count):
    months = tuple(f"{2015 + index // 12}-{index % 12 + 1:02d}" for index in range(count))
    svg = line_chart(chart(tuple(float(index) for index in range(count)), months=months))
    labels = [text.text for text in parts(svg, "text", "middle")]
    assert labels[0] == "2015-01"
    assert len(labels) <= max(6, count / 12)


def test_a_sparkline_needs_two_values():
    assert sparkline([None, 3.0]) == ""
    assert len(parts(sparkline([1.0, None, 3.0, 4.0]), "path", "line")) == 2
