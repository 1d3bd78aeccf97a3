"""The scorecard of a release for a terminal or a pipe: one row per metric, against last month and last year."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from dagster_project.report.figures import Comparison, Figures, Value, read_figures
from dagster_project.report.formats import change_text, judgement, unit_named, value_text

Language = Literal["en", "ja"]

STYLES = {"better": "green", "worse": "red", "": ""}
SMALL, RUNNING = "*", "~"
WORDS = {
    "en": {
        "title": "KPIs of {month}, as of {as_of}",
        "running": "No complete month yet: {month} is still running, as of {as_of}",
        "nothing": "No figures yet, as of {as_of}",
        "release": "release {release}",
        "metric": "Metric",
        "value": "Value",
        "against": "vs {month}",
        "previous": "vs month before",
        "year_ago": "vs year before",
        "small": f"{SMALL} small sample",
        "still": f"{RUNNING} period still running",
    },
    "ja": {
        "title": "{month} のKPI(基準日 {as_of})",
        "running": "完了した月がまだありません。{month} は進行中(基準日 {as_of})",
        "nothing": "データがまだありません(基準日 {as_of})",
        "release": "リリース {release}",
        "metric": "指標",
        "value": "値",
        "against": "{month}比",
        "previous": "前月比",
        "year_ago": "前年同月比",
        "small": f"{SMALL} 少数サンプル",
        "still": f"{RUNNING} 期間進行中",
    },
}


def scorecard(database: Path, language: Language = "en") -> Table:
    """The KPIs of the latest complete month (all customers) in the release `database`, to be printed by rich.

    Columns: metric, value, mark, change against the month before, change against the same month a year before.
    Money and counts change in per cent, shares in percentage points, everything else by its difference.
    Without a complete month the running one is shown and named so. Raises ConfigurationError where `database`
    is no published release.
    """
    figures = read_figures(database)
    words = WORDS[language]
    rows = [figures.comparison(metric) for metric in figures.metrics]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left")
    table.title = Text(_title(figures, words), style="bold")
    table.caption = Text(_legend(rows, words)) if _legend(rows, words) else None
    table.add_column(words["metric"], overflow="fold")
    table.add_column(figures.month.label if figures.month else words["value"], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for start, otherwise in ((figures.previous_start, "previous"), (figures.year_ago_start, "year_ago")):
        head = words["against"].format(month=start.strftime("%Y-%m")) if start else words[otherwise]
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, language))
    return table


def _title(figures: Figures, words: dict[str, str]) -> str:
    kind = "nothing" if figures.month is None else "title" if figures.month.is_complete else "running"
    month = figures.month.label if figures.month else ""
    title = words[kind].format(month=month, as_of=figures.as_of_date or "-")
    return f"{title}\n{words['release'].format(release=figures.release_id or '-')}"


def _legend(rows: list[Comparison], words: dict[str, str]) -> str:
    marks = "".join(_mark(row.current) for row in rows)
    return "   ".join(words[key] for key, mark in (("small", SMALL), ("still", RUNNING)) if mark in marks)


def _cells(row: Comparison, language: Language) -> list[Text]:
    unit = row.metric.unit
    name = row.metric.name_ja if language == "ja" else row.metric.name_en
    cells = [
        Text(unit_named(name, unit, language)),
        Text(value_text(row.current.value, unit)),
        Text(_mark(row.current)),
    ]
    for past in (row.previous, row.year_ago):
        change = change_text(row.current.value, past.value, unit)
        cells.append(Text(change, style=STYLES[judgement(change, row.metric.direction)]))
    return cells


def _mark(value: Value) -> str:
    if value.value is None:
        return ""
    return (SMALL if value.is_small_sample else "") + ("" if value.is_complete else RUNNING)
