"""Small SVG charts over months: lines, stacked columns, a sparkline. Colours and fonts come from the page's CSS.

A month without a value (None) is a gap: no point, no column, and no line across it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dagster_project.report.formats import tick_texts, typographic, value_text
from dagster_project.report.markup import Markup, element, join

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 10, 30
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MOST_MONTH_LABELS = 6
WIDEST_COLUMN = 40
SPARK_WIDTH, SPARK_HEIGHT = 120, 28


@dataclass(frozen=True)
class Series:
    """One value per month, None for a gap. `style` is the CSS class that gives it its colour."""

    name: str
    style: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """What a chart shows: `months` as YYYY-MM, oldest first, without holes; `unit` as in `dim_metrics`.

    `baseline` is the value that must be on the axis and is drawn stronger: 0, or 1 for a ratio around 1.
    """

    key: str
    title: str
    unit: str
    months: tuple[str, ...]
    series: tuple[Series, ...]
    baseline: float = 0.0


@dataclass(frozen=True)
class Scale:
    """Values to heights: `ticks` span the axis from bottom to top."""

    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return TOP + PLOT_HEIGHT * (high - value) / (high - low)


def nice_ticks(low: float, high: float, smallest_step: float = 0.0, intervals: int = 5) -> tuple[float, ...]:
    """Round, evenly spaced values that enclose [low, high], about `intervals` apart: steps of 1, 2, 2.5 or 5."""
    if low == high:
        high = low + (abs(low) / 2 or 1.0)
    least = max((high - low) / intervals, smallest_step)
    magnitude = 10.0 ** math.floor(math.log10(least))
    fitting = (step * magnitude for step in (1, 2, 2.5, 5, 10) if step * magnitude >= least * (1 - 1e-9))
    step = next(step for step in fitting if not smallest_step or step % smallest_step == 0)
    digits = max(0, 2 - math.floor(math.log10(step)))
    first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
    return tuple(round(index * step, digits) for index in range(first, last + 1))


def has_values(chart: Chart) -> bool:
    """Whether there is anything to draw."""
    return any(value is not None for series in chart.series for value in series.values)


def line_chart(chart: Chart) -> Markup:
    """One line per series; a month alone between gaps is a dot."""
    scale = _scale(chart, [value for series in chart.series for value in series.values if value is not None])
    lines = [_line(series, len(chart.months), scale.y) for series in chart.series]
    return _frame(chart, scale, lines)


def area_chart(chart: Chart) -> Markup:
    """As a line chart, the area down to the baseline filled; for levels."""
    scale = _scale(chart, [value for series in chart.series for value in series.values if value is not None])
    drawn = []
    for series in chart.series:
        for run in runs(series.values):
            points = [(_x(index, len(chart.months)), scale.y(value)) for index, value in run]
            base = scale.y(chart.baseline)
            outline = [(points[0][0], base), *points, (points[-1][0], base)]
            drawn.append(element("path", d=_path(outline) + "Z", class_=f"area {series.style}"))
        drawn.append(_line(series, len(chart.months), scale.y))
    return _frame(chart, scale, drawn)


def column_chart(chart: Chart) -> Markup:
    """Stacked columns: positive values upwards, negative ones downwards, the first series next to the baseline."""
    totals = [sum(part) for stack in _stacks(chart) for part in _by_sign(stack)]
    scale = _scale(chart, totals)
    columns = [column for index, stack in enumerate(_stacks(chart)) for column in _column(chart, index, stack, scale)]
    return _frame(chart, scale, columns)


def sparkline(values: Sequence[float | None]) -> Markup:
    """A line without axes, as decoration beside a figure: hidden from screen readers.

    Nothing for less than two values.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return 3 + (SPARK_HEIGHT - 6) * (0.5 if low == high else (high - value) / span)

    def x(index: int) -> float:
        return 3 + (SPARK_WIDTH - 6) * index / (len(values) - 1)

    parts = [_stroke([(x(index), y(value)) for index, value in run], "spark") for run in runs(values)]
    if values[-1] is not None:
        parts.append(_dot(x(len(values) - 1), y(values[-1]), "spark"))
    box = f"0 0 {SPARK_WIDTH} {SPARK_HEIGHT}"
    return element("svg", *parts, class_="sparkline", viewBox=box, aria_hidden="true", focusable="false")


def runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """`values` with their indexes, cut at the gaps."""
    found: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(values):
        if value is not None:
            found[-1].append((index, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _scale(chart: Chart, values: Iterable[float]) -> Scale:
    reach = [*values, chart.baseline]
    return Scale(nice_ticks(min(reach), max(reach), smallest_step=1.0 if chart.unit == "count" else 0.0))


def _frame(chart: Chart, scale: Scale, drawn: Iterable[Markup]) -> Markup:
    """The chart around what is drawn: its description, axes, and one invisible band per month that names its values."""
    title, description = f"{chart.key}-title", f"{chart.key}-description"
    return element(
        "svg",
        element("title", chart.title, id=title),
        element("desc", _description(chart), id=description),
        *_value_axis(chart, scale),
        *_month_axis(chart.months),
        *drawn,
        *_bands(chart),
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{title} {description}",
    )


def _description(chart: Chart) -> str:
    """First and last known value of each series."""
    sentences = []
    for series in chart.series:
        known = [(month, value) for month, value in zip(chart.months, series.values, strict=True) if value is not None]
        if known:
            ends = [f"{value_text(value, chart.unit)} in {month}" for month, value in (known[0], known[-1])]
            sentences.append(f"{series.name}: {' to '.join(ends if len(known) > 1 else ends[:1])}.")
    return " ".join(sentences) or "No values."


def _value_axis(chart: Chart, scale: Scale) -> list[Markup]:
    drawn = []
    for tick, text in zip(scale.ticks, tick_texts(scale.ticks, chart.unit), strict=True):
        y = scale.y(tick)
        style = "baseline" if tick == chart.baseline else "grid"
        drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_number(y), y2=_number(y), class_=style))
        drawn.append(element("text", typographic(text), x=LEFT - 8, y=_number(y), dy="0.32em", class_="tick end"))
    return drawn


def _month_axis(months: tuple[str, ...]) -> list[Markup]:
    """Labels at months that divide the year evenly, as many as fit; at every month where there are few."""
    every = next((n for n in (1, 2, 3, 6, 12) if len(months) / n <= MOST_MONTH_LABELS), 12)
    shown = [index for index, month in enumerate(months) if (int(month[-2:]) - 1) % every == 0]
    return [
        element("text", months[index], x=_number(_x(index, len(months))), y=HEIGHT - 8, class_="tick middle")
        for index in shown
    ]


def _bands(chart: Chart) -> list[Markup]:
    width = PLOT_WIDTH / len(chart.months)
    drawn = []
    for index, month in enumerate(chart.months):
        values = [typographic(value_text(series.values[index], chart.unit)) for series in chart.series]
        named = [f"{series.name}: {value}" for series, value in zip(chart.series, values, strict=True)]
        tip = element("title", "\n".join([month, *named]))
        place = {"x": _number(LEFT + index * width), "y": TOP, "width": _number(width), "height": PLOT_HEIGHT}
        drawn.append(element("rect", tip, class_="band", **place))
    return drawn


def _line(series: Series, months: int, y: Callable[[float], float]) -> Markup:
    drawn = []
    for run in runs(series.values):
        points = [(_x(index, months), y(value)) for index, value in run]
        drawn.append(_stroke(points, series.style))
        if len(run) == 1 or run[-1][0] == months - 1:
            drawn.append(_dot(*points[-1], series.style))
    return join(drawn)


def _stroke(points: Sequence[tuple[float, float]], style: str) -> Markup:
    return element("path", d=_path(points), class_=f"line {style}")


def _dot(x: float, y: float, style: str) -> Markup:
    return element("circle", cx=_number(x), cy=_number(y), r=3, class_=f"dot {style}")


def _stacks(chart: Chart) -> list[list[float]]:
    return [[series.values[index] or 0.0 for series in chart.series] for index in range(len(chart.months))]


def _by_sign(stack: Sequence[float]) -> tuple[list[float], list[float]]:
    return [value for value in stack if value > 0], [value for value in stack if value < 0]


def _column(chart: Chart, index: int, stack: Sequence[float], scale: Scale) -> list[Markup]:
    width = min(PLOT_WIDTH / len(chart.months) * 0.72, WIDEST_COLUMN)
    left = _x(index, len(chart.months)) - width / 2
    up = down = 0.0
    drawn = []
    for series, value in zip(chart.series, stack, strict=True):
        if value == 0:
            continue
        start = up if value > 0 else down
        top, bottom = sorted((scale.y(start), scale.y(start + value)))
        place = {"x": left, "y": top, "width": width, "height": bottom - top}
        drawn.append(
            element("rect", class_=f"column {series.style}", **{key: _number(size) for key, size in place.items()})
        )
        up, down = (up + value, down) if value > 0 else (up, down + value)
    return drawn


def _x(index: int, months: int) -> float:
    return LEFT + PLOT_WIDTH * (index + 0.5) / months


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:z.1f}".removesuffix(".0")
