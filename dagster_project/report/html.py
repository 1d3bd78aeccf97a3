"""The report of a release: one static page, in English with Japanese beneath, that opens from a file.

Belongs here: what stands on the page and in which order. The same database gives the same bytes: nothing comes
from the clock or the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dagster_project.files import write_whole
from dagster_project.report.charts import sparkline
from dagster_project.report.evidence import data_quality, restatements
from dagster_project.report.figures import Comparison, Figures, Metric, Month, Value, months_before, read_figures
from dagster_project.report.formats import short_text, typographic, unit_named, value_text
from dagster_project.report.markup import Markup, element
from dagster_project.report.parts import against, bilingual, change_shown, data_table, mark_notes, marked, section
from dagster_project.report.segments import segment_tables
from dagster_project.report.style import STYLE
from dagster_project.report.trends import trends

HEADLINES = ("mrr", "customers", "customer_churn_rate", "nrr", "grr", "ltv")
SPARK_MONTHS = 13
LTV_STATUS = {
    "no_churn_observed": ("No churn observed", "解約実績なし"),
    "short_history": ("Less than 12 months of history", "履歴12か月未満"),
    "no_customers": ("No customers", "顧客なし"),
}
DIRECTIONS = {"up": ("Higher is better", "高いほど良い"), "down": ("Lower is better", "低いほど良い")}


def write_report(database: Path, folder: Path) -> Path:
    """Write `folder/index.html`, the report of the release `database`, and return its path.

    The folder is made where it is absent. Raises ConfigurationError where `database` is no published release.
    """
    figures = read_figures(database)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    write_whole(path, render(figures))
    return path


def render(figures: Figures) -> str:
    """The whole page."""
    sections = (
        _cards(figures),
        trends(figures),
        _all_metrics(figures),
        segment_tables(figures),
        restatements(figures),
        data_quality(figures.quality),
        _definitions(figures.metrics),
    )
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        # Customer data is escaped; should a way around ever be found, no script and no request would run either.
        Markup(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        ),
        element("title", f"KPIs {figures.month.label if figures.month else ''}".strip()),
        element("style", Markup(STYLE)),
    )
    body = element("body", _header(figures), element("main", *sections), _footer())
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(figures: Figures) -> Markup:
    month = figures.month
    state = {None: "", True: " (complete)", False: " (running)"}[month.is_complete if month else None]
    facts = (
        ("Month", "対象月", f"{month.label}{state}" if month else "–"),
        ("As of", "基準日", figures.as_of_date.isoformat() if figures.as_of_date else "–"),
        ("Release", "リリース", figures.release_id or "–"),
    )
    shown = [
        element("div", element("dt", bilingual(english, japanese)), element("dd", text))
        for english, japanese, text in facts
    ]
    title = element("h1", bilingual("Customer success KPIs", "カスタマーサクセスKPIレポート"))
    return element("header", title, element("dl", *shown, class_="facts"), *_notice(month))


def _notice(month: Month | None) -> Iterable[Markup]:
    if month is None:
        yield element("p", bilingual("No figures yet.", "データがまだありません。"), class_="notice")
    elif not month.is_complete:
        english = f"No complete month yet: the figures of {month.label} are those of a month still running."
        japanese = f"完了した月がまだありません。{month.label} は進行中の月の数値です。"
        yield element("p", bilingual(english, japanese), class_="notice")


def _cards(figures: Figures) -> Markup:
    metrics = [figures.metric(metric_id) for metric_id in HEADLINES]
    cards = [_card(figures, metric) for metric in metrics if metric]
    return element("section", *cards, class_="cards", aria_label="Headline figures")


def _card(figures: Figures, metric: Metric) -> Markup:
    row = figures.comparison(metric)
    full = typographic(value_text(row.current.value, metric.unit))
    short = typographic(short_text(row.current.value, metric.unit))
    figure = element("p", short, class_="figure", title=full if short != full else None)
    changes = element(
        "dl",
        _card_change(row, row.previous, against(figures.previous_start, "month before")),
        _card_change(row, row.year_ago, against(figures.year_ago_start, "year before")),
        class_="changes",
    )
    history = element("div", element("div", figure, *_badges(figures, row)), _history(figures, metric), class_="now")
    return element(
        "article", element("h3", bilingual(metric.name_en, metric.name_ja)), history, changes, class_="panel card"
    )


def _history(figures: Figures, metric: Metric) -> Markup:
    starts = [months_before(figures.month.start, back) for back in range(SPARK_MONTHS)] if figures.month else []
    return sparkline([figures.value(metric.metric_id, start).value for start in reversed(starts)])


def _badges(figures: Figures, row: Comparison) -> Iterable[Markup]:
    if row.current.value is not None and row.current.is_small_sample:
        yield element("span", "small sample ", element("span", "少数サンプル", lang="ja"), class_="badge")
    if row.metric.metric_id == "ltv" and figures.ltv_status in LTV_STATUS:
        english, japanese = LTV_STATUS[figures.ltv_status]
        yield element("span", english + " ", element("span", japanese, lang="ja"), class_="badge")


def _card_change_shown(row: Comparison, past: Value, start: object) -> Markup:
    label = f"vs {start:%Y-%m}" if start else "vs –"
    return element("div", element("dt", label), element("dd", change_shown(row, past)))


def _card_change(row: Comparison, past: Value, label: str) -> Markup:
    return element("div", element("dt", label), element("dd", change_shown(row, past)))


def _all_metrics(figures: Figures) -> Markup:
    rows = [figures.comparison(metric) for metric in figures.metrics]
    columns = [
        ("Metric", "指標"),
        (figures.month.label if figures.month else "Value", "値"),
        (against(figures.previous_start, "month before"), "前月比"),
        (against(figures.year_ago_start, "year before"), "前年同月比"),
    ]
    cells = [
        [
            _metric_name(row.metric),
            marked(row.current, row.metric.unit),
            change_shown(row, row.previous),
            change_shown(row, row.year_ago),
        ]
        for row in rows
    ]
    drawn = element("div", data_table("All metrics", columns, cells), class_="panel names long")
    return section("All metrics", "全指標", drawn, *mark_notes(row.current for row in rows))


def _metric_name(metric: Metric) -> Markup:
    names = ((metric.name_en, "en"), (metric.name_ja, "ja"))
    return bilingual(*(unit_named(name, metric.unit, language) for name, language in names))


def _definitions(metrics: Sequence[Metric]) -> Markup:
    entries = [
        element(
            "div",
            element("dt", bilingual(metric.name_en, metric.name_ja)),
            element("dd", bilingual(metric.definition_en, metric.definition_ja)),
            element("dd", metric.formula, *_direction(metric), class_="formula"),
        )
        for metric in metrics
    ]
    panel = element("div", element("dl", *entries, class_="definitions"), class_="panel long")
    return section("Definitions", "指標の定義", panel)


def _direction(metric: Metric) -> Iterable[str]:
    if metric.direction in DIRECTIONS:
        english, japanese = DIRECTIONS[metric.direction]
        yield f" · {english} "
        yield element("span", japanese, lang="ja")


def _footer() -> Markup:
    english = (
        "Money is in the reporting currency. A dash means that there is nothing to divide by, or nothing was measured."
    )
    japanese = "金額は報告通貨建てです。「–」は分母が0、または測定値がないことを示します。"
    return element("footer", bilingual(english, japanese))
