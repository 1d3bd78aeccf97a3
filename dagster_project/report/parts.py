"""Pieces the sections of the report share: bilingual labels, figures with their changes and marks, tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from dagster_project.report.figures import Comparison, Value
from dagster_project.report.formats import change_text, judgement, typographic, value_text
from dagster_project.report.markup import Markup, element, join

SMALL = (
    "*",
    "Small sample: too few customers or responses to read much into it",
    "少数サンプル(件数が少ないため参考値)",
)
RUNNING = ("~", "The period is still running", "期間進行中")


def bilingual(english: str, japanese: str) -> Markup:
    """The English text, and the Japanese set smaller beneath or beside it."""
    return join([english, Markup(" "), element("span", japanese, class_="ja", lang="ja")])


def section(english: str, japanese: str, *content: Markup) -> Markup:
    return element("section", element("h2", bilingual(english, japanese)), *content)


def note(english: str, japanese: str) -> Markup:
    return element("p", bilingual(english, japanese), class_="note")


def nothing_yet() -> Markup:
    return note("No figures yet.", "データがまだありません。")


def change_shown(row: Comparison, past: Value) -> Markup:
    """The change with an arrow for its direction, a colour for good or bad, and that in words for screen readers."""
    text = change_text(row.current.value, past.value, row.metric.unit)
    verdict = judgement(text, row.metric.direction)
    arrow = {"+": "▲ ", "-": "▼ "}.get(text[0], "") if len(text) > 1 else ""
    heard = [element("span", f" ({verdict})", class_="hidden")] if verdict else []
    pointer = element("span", arrow, class_="arrow", aria_hidden="true") if arrow else ""
    return element("span", pointer, typographic(text), *heard, class_=verdict or None)


def marked(value: Value, unit: str) -> Markup:
    """The value, followed by `*` where its sample is small and `~` where its period is still running."""
    return join([typographic(value_text(value.value, unit)), *(_mark(*mark) for mark in _marks(value))])


def _mark(sign: str, english: str, japanese: str) -> Markup:
    return element("abbr", sign, class_="mark", title=f"{english} / {japanese}")


def _marks(value: Value) -> list[tuple[str, str, str]]:
    if value.value is None:
        return []
    small = [SMALL] if value.is_small_sample else []
    return small if value.is_complete else [*small, RUNNING]


def against(start: dt.date | None, words: str) -> str:
    """What a change is measured against: that month, or `words` where there is none."""
    return f"vs {start:%Y-%m}" if start else f"vs {words}"


def mark_notes(values: Iterable[Value]) -> list[Markup]:
    """What the marks at these values mean."""
    used = {mark for value in values for mark in _marks(value)}
    return [
        note(f"{sign} {english}.", f"{sign} {japanese}")
        for sign, english, japanese in (SMALL, RUNNING)
        if (sign, english, japanese) in used
    ]


def data_table(
    label: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[str]],
    footer: Sequence[str] | None = None,
    caption: Markup | None = None,
    words: frozenset[int] = frozenset(),
) -> Markup:
    """A table called `label`, which scrolls sideways where the page is narrow.

    The first column names the row; the others are numbers, but for the positions in `words`. `columns` are
    English and Japanese heads.
    """

    def style(position: int) -> str | None:
        return None if position == 0 or position in words else "number"

    def line(cells: Sequence[str]) -> Markup:
        rest = [element("td", cell, class_=style(position)) for position, cell in enumerate(cells[1:], start=1)]
        return element("tr", element("th", cells[0], scope="row"), *rest)

    head = [element("th", bilingual(*column), scope="col", class_=style(i)) for i, column in enumerate(columns)]
    drawn = element(
        "table",
        element("caption", caption) if caption else Markup(""),
        element("thead", element("tr", *head)),
        element("tbody", *(line(row) for row in rows)),
        element("tfoot", line(footer)) if footer else Markup(""),
    )
    return element("div", drawn, class_="scroll", tabindex="0", role="region", aria_label=label)
