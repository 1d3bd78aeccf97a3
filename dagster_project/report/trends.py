"""The charts of the report, and the same figures as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dagster_project.report.charts import Chart, Series, area_chart, column_chart, has_values, line_chart
from dagster_project.report.figures import MOVEMENTS, Figures, Month
from dagster_project.report.formats import typographic, value_text
from dagster_project.report.markup import Markup, element
from dagster_project.report.parts import bilingual, data_table, note, nothing_yet, section

TITLE = ("Development by month", "月次推移")
CHART_MONTHS = 36
MOVEMENT_NAMES = {
    "new_mrr": ("New", "新規"),
    "reactivation_mrr": ("Reactivation", "復帰"),
    "expansion_mrr": ("Expansion", "拡大"),
    "contraction_mrr": ("Contraction", "縮小"),
    "churned_mrr": ("Churn", "解約"),
    "fx_impact_mrr": ("Currency", "為替"),
}
LOSSES = ("contraction_mrr", "churned_mrr")


def trends(figures: Figures) -> Markup:
    """The section of charts of the total by month."""
    months = charted_months(figures.months)
    if not months:
        return section(*TITLE, nothing_yet())
    charts = (_mrr(figures, months), _movements(figures, months), *_rates(figures, months), _customers(figures, months))
    drawn = element("div", *charts, class_="charts")
    return section(*TITLE, drawn, *_chart_notes(figures, months), _monthly_figures(figures, months))


def charted_months(months: Sequence[Month]) -> tuple[Month, ...]:
    """The latest complete months; the running one only where there is no other."""
    complete = tuple(month for month in months if month.is_complete)
    return (complete or tuple(months))[-CHART_MONTHS:]


def _chart_notes(figures: Figures, months: Sequence[Month]) -> Iterable[Markup]:
    running = [month.label for month in figures.months if month.start > months[-1].start]
    if running:
        english = f"Still running and not in the charts: {', '.join(running)}."
        yield note(english, f"進行中のためグラフに含まない月: {'、'.join(running)}")
    if figures.months[0].start < months[0].start:
        yield note(f"The latest {CHART_MONTHS} months are shown.", f"直近{CHART_MONTHS}か月を表示しています。")


def _series(figures: Figures, months: Sequence[Month], metric_id: str, style: str) -> Series:
    metric = figures.metric(metric_id)
    values = tuple(figures.value(metric_id, month.start).value for month in months)
    return Series(metric.name_en if metric else metric_id, style, values)


def _figure(
    english: str, japanese: str, draw: Callable[[Chart], Markup], chart: Chart, legend: Sequence[Markup] = ()
) -> Markup:
    return element(
        "figure",
        element("figcaption", element("h3", bilingual(english, japanese))),
        element("ul", *legend, class_="legend") if legend else Markup(""),
        draw(chart) if has_values(chart) else nothing_yet(),
        class_="panel",
    )


def _legend_item(english: str, japanese: str, style: str) -> Markup:
    swatch = element("span", class_=f"swatch {style}", aria_hidden="true")
    return element("li", swatch, element("span", bilingual(english, japanese)))


def _mrr(figures: Figures, months: Sequence[Month]) -> Markup:
    series = (_series(figures, months, "mrr", "level"),)
    chart = Chart("chart-mrr", "MRR by month", "currency", _labels(months), series)
    return _figure("MRR at month end", "月末のMRR", area_chart, chart)


def _movements(figures: Figures, months: Sequence[Month]) -> Markup:
    shown = []
    for column in MOVEMENTS:
        sign = -1 if column in LOSSES else 1
        amounts = [figures.movements.get((column, month.start)) for month in months]
        if column == "fx_impact_mrr" and not any(amounts):
            continue
        english, japanese = MOVEMENT_NAMES[column]
        style = column.removesuffix("_mrr").removesuffix("_impact")
        values = tuple(None if amount is None else sign * amount for amount in amounts)
        shown.append((japanese, Series(english, style, values)))
    series = tuple(series for _, series in shown)
    chart = Chart("chart-movements", "MRR movements by month", "currency", _labels(months), series)
    legend = [_legend_item(series.name, japanese, series.style) for japanese, series in shown]
    return _figure("MRR movements", "MRRの増減", column_chart, chart, legend)


def _rates(figures: Figures, months: Sequence[Month]) -> Iterable[Markup]:
    labels = _labels(months)
    for suffix, english, japanese in (("", "monthly", "月次"), ("_12m", "12 months", "前年比")):
        series = tuple(_series(figures, months, f"{name}{suffix}", name) for name in ("nrr", "grr"))
        chart = Chart(f"chart-nrr{suffix}", f"NRR and GRR, {english}", "ratio", labels, series, baseline=1.0)
        legend = [_legend_item("NRR", "売上継続率", "nrr"), _legend_item("GRR", "グロス売上継続率", "grr")]
        yield _figure(f"NRR and GRR, {english}", f"NRR・GRR({japanese})", line_chart, chart, legend)
    series = (_series(figures, months, "customer_churn_rate", "churned"),)
    chart = Chart("chart-churn", "Customer churn rate by month", "share", labels, series)
    yield _figure("Customer churn rate", "解約率(カスタマーチャーン)", line_chart, chart)


def _customers(figures: Figures, months: Sequence[Month]) -> Markup:
    series = (_series(figures, months, "customers", "level"),)
    chart = Chart("chart-customers", "Customers by month", "count", _labels(months), series)
    return _figure("Customers at month end", "月末の顧客数", area_chart, chart)


def _labels(months: Sequence[Month]) -> tuple[str, ...]:
    return tuple(month.label for month in months)


def _monthly_figures(figures: Figures, months: Sequence[Month]) -> Markup:
    """The charts as a table, for those who cannot or do not want to read them from a picture."""
    shown = ("mrr", "customers", "customer_churn_rate", "nrr", "grr", "nrr_12m", "grr_12m")
    metrics = [metric for metric in map(figures.metric, shown) if metric]
    columns = [("Month", "月"), *((metric.name_en, metric.name_ja) for metric in metrics)]
    moves = [column for column in MOVEMENTS if any(figures.movements.get((column, month.start)) for month in months)]
    columns += [MOVEMENT_NAMES[column] for column in moves]
    rows = []
    for month in reversed(months):
        values = [value_text(figures.value(metric.metric_id, month.start).value, metric.unit) for metric in metrics]
        amounts = [value_text(figures.movements.get((column, month.start)), "currency") for column in moves]
        rows.append([month.label, *map(typographic, values + amounts)])
    drawn = data_table("Figures by month", columns, rows)
    return element("details", element("summary", bilingual("Figures by month", "月次の数値")), drawn, class_="panel")
