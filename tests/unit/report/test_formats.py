"""Figures as text."""

from __future__ import annotations

import pytest

from dagster_project.report.formats import change_text, judgement, short_text, tick_texts, value_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (10_159_608.4, "currency", "10,159,608"),
        (999.5, "currency", "999.50"),
        (0.0, "currency", "0"),
        (474.0, "count", "474"),
        (12.25, "count", "12.2"),
        (0.019263, "share", "1.93%"),
        (-0.00001, "share", "0.00%"),
        (1.14208, "ratio", "1.142"),
        (3844.04, "months", "3,844.0"),
        (-35.9, "points", "-35.9"),
        (None, "currency", "-"),
        (float("inf"), "ratio", "-"),
    ],
)
def test_value_in_its_unit(value, unit, text):
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("current", "previous", "unit", "text"),
    [
        (120.0, 100.0, "currency", "+20.0%"),
        (99.0, 100.0, "count", "-1.0%"),
        (100.0, 100.0, "count", "0.0%"),
        (0.025, 0.02, "share", "+0.50 pp"),
        (0.0200001, 0.02, "share", "0.00 pp"),
        (1.05, 1.06, "ratio", "-0.010"),
        (12.0, 10.5, "months", "+1.5"),
        (5.0, 0.0, "currency", "-"),
        (5.0, -2.0, "currency", "-"),
        (None, 1.0, "ratio", "-"),
        (1.0, None, "ratio", "-"),
    ],
)
def test_change_in_its_unit(current, previous, unit, text):
    assert change_text(current, previous, unit) == text


@pytest.mark.parametrize(
    ("change", "direction", "verdict"),
    [
        ("+1.0%", "up", "better"),
        ("+0.50 pp", "down", "worse"),
        ("-0.1", "down", "better"),
        ("-0.1", "up", "worse"),
        ("-", "up", ""),
        ("0.0%", "up", ""),
        ("+1.0%", "none", ""),
    ],
)
def test_judgement_follows_the_direction(change, direction, verdict):
    assert judgement(change, direction) == verdict


@pytest.mark.parametrize(
    ("ticks", "unit", "texts"),
    [
        ((0.0, 2_500_000.0, 5_000_000.0), "currency", ("0", "2.5M", "5.0M")),
        ((0.0, 2_000.0, 4_000.0), "currency", ("0", "2,000", "4,000")),
        ((-20_000.0, 0.0, 20_000.0), "currency", ("-20k", "0", "20k")),
        ((0.0, 0.002, 0.004), "share", ("0.0%", "0.2%", "0.4%")),
        ((0.8, 0.9, 1.0), "ratio", ("0.8", "0.9", "1.0")),
        ((0.0, 1e18), "currency", ("0", "1e+18")),
        ((0.0, 1e-9), "ratio", ("0", "1e-09")),
    ],
)
def test_ticks_share_one_magnitude_and_their_decimals(ticks, unit, texts):
    assert tick_texts(ticks, unit) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999_999_999, "999,999,999"),
        (1_234_567_890, "1.235B"),
        (999_960_000_000, "1,000B"),
        (2e15, "2e+15"),
        (None, "-"),
    ],
)
def test_short_text_abbreviates_from_a_billion(value, text):
    assert short_text(value, "currency") == text
