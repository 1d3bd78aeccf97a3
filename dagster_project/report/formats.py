"""Figures as text: values by unit, changes, axis labels. Plain ASCII, so that any terminal shows it."""

from __future__ import annotations

import math

DASH = "-"
MAGNITUDES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
ABBREVIATE_FROM = 1e4
DURATIONS = {
    "months": ("months", "か月"),
    "days": ("days", "日"),
    "hours": ("hours", "時間"),
    "minutes": ("minutes", "分"),
}


def value_text(value: float | None, unit: str) -> str:
    """`value` in its unit: currency 10,159,608 (cents below 1,000), share 1.93%, ratio 1.142; a dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    if unit == "currency":
        return f"{value:z,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:z,.2f}"
    if unit == "count":
        return f"{value:z,.0f}" if value == int(value) else f"{value:z,.1f}"
    if unit == "share":
        return f"{value * 100:z,.2f}%"
    if unit in DURATIONS or unit == "points":
        return f"{value:z,.1f}"
    return f"{value:z,.3f}"


def unit_named(name: str, unit: str, language: str) -> str:
    """The name of a metric, followed by its unit where its values are durations."""
    if unit not in DURATIONS:
        return name
    return f"{name} ({DURATIONS[unit][0]})" if language == "en" else f"{name}({DURATIONS[unit][1]})"


def change_text(current: float | None, previous: float | None, unit: str) -> str:
    """The change from `previous`: relative for money and counts, percentage points for shares, else the difference.

    A dash where either is None, or where a relative change has no positive base.
    """
    if current is None or previous is None:
        return DASH
    difference = current - previous
    if unit in ("currency", "count"):
        return _signed(f"{difference / previous * 100:+z,.1f}%") if previous > 0 else DASH
    if unit == "share":
        return _signed(f"{difference * 100:+z,.2f} pp")
    if unit in DURATIONS or unit == "points":
        return _signed(f"{difference:+z,.1f}")
    return _signed(f"{difference:+z,.3f}")


def _signed(text: str) -> str:
    """Without a sign where nothing but zeros is shown."""
    return text if any(digit in text for digit in "123456789") else text.lstrip("+")


def judgement(change: str, direction: str) -> str:
    """`better`, `worse`, or empty where the shown change is nothing or the metric has no direction."""
    sign = {"+": "up", "-": "down"}.get(change[:1]) if change != DASH else None
    if sign is None or direction not in ("up", "down"):
        return ""
    return "better" if sign == direction else "worse"


def short_text(value: float | None, unit: str) -> str:
    """As `value_text`, but from a billion on abbreviated to 4 digits, for places with little room."""
    if value is None or unit not in ("currency", "count") or abs(value) < 1e9:
        return value_text(value, unit)
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    size, suffix = next(pair for pair in MAGNITUDES if abs(value) >= pair[0])
    return f"{value / size:,.4g}{suffix}" if abs(value) < 999.95 * size else f"{value / size:,.0f}{suffix}"


def tick_texts(ticks: tuple[float, ...], unit: str) -> tuple[str, ...]:
    """Labels of evenly spaced axis ticks: as many decimals as the step needs, one magnitude for all of them."""
    largest = max(abs(tick) for tick in ticks)
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else largest or 1.0
    if unit == "share":
        return tuple(_decimals(tick * 100, step * 100) + "%" for tick in ticks)
    if largest >= 1e15 or step < 1e-6:
        return tuple("0" if tick == 0 else f"{tick:.3g}" for tick in ticks)
    size, suffix = 1.0, ""
    if largest >= ABBREVIATE_FROM:
        size, suffix = next(pair for pair in MAGNITUDES if largest >= pair[0])
    return tuple("0" if tick == 0 else _decimals(tick / size, step / size) + suffix for tick in ticks)


def _decimals(value: float, step: float) -> str:
    """`value` with the decimals needed to tell multiples of `step` apart."""
    digits = next((digits for digits in range(8) if math.isclose(step * 10**digits, round(step * 10**digits))), 8)
    return f"{value:z,.{digits}f}"


def typographic(text: str) -> str:
    """A formatted figure with the minus sign and the dash of print."""
    return "\N{EN DASH}" if text == DASH else text.replace("-", "\N{MINUS SIGN}")
