"""The month shown by segment: one table per dimension."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from dagster_project.report.figures import NOTHING, Figures, Segment
from dagster_project.report.formats import value_text
from dagster_project.report.markup import Markup, element, join
from dagster_project.report.parts import data_table, mark_notes, marked, note, nothing_yet, section

MOST_SEGMENTS = 20
UNKNOWN = "(unknown)"
DIMENSIONS = {
    "plan": ("Plan", "プラン"),
    "product": ("Product", "製品"),
    "industry": ("Industry", "業種"),
    "region": ("Region", "地域"),
    "company_size": ("Company size", "企業規模"),
    "owner": ("Owner", "担当者"),
    "touch_tier": ("Touch tier", "タッチモデル"),
}
# As in SEGMENT_METRICS, with heads short enough for two tables side by side.
COLUMNS = (
    ("customers", "count", "Customers", "顧客数"),
    ("mrr", "currency", "MRR", "月次経常収益"),
    ("customer_churn_rate", "share", "Churn", "解約率"),
    ("nrr", "ratio", "NRR", "売上継続率"),
)


def segment_tables(figures: Figures) -> Markup:
    """The section of all dimensions; one of which nothing was delivered is only named."""
    by_dimension = {key: tuple(found) for key, found in groupby(figures.segments, key=lambda each: each.dimension)}
    known = {key: found for key, found in by_dimension.items() if any(each.name != UNKNOWN for each in found)}
    ordered = sorted(
        known, key=lambda key: (list(DIMENSIONS).index(key) if key in DIMENSIONS else len(DIMENSIONS), key)
    )
    tables = [_segment_table(key, known[key]) for key in ordered]
    title = f"Segments, {figures.month.label}" if figures.month else "Segments"
    return section(
        title,
        "セグメント別",
        element("div", *tables, class_="packed") if tables else nothing_yet(),
        *([note("Bars show the share of the MRR.", "棒はMRRに占める割合を示します。")] if tables else []),
        *mark_notes(value for found in known.values() for each in found for value in each.values.values()),
        *_undelivered(sorted(by_dimension.keys() - known.keys())),
    )


def _undelivered(dimensions: Sequence[str]) -> list[Markup]:
    if not dimensions:
        return []
    english, japanese = zip(*map(_dimension, dimensions), strict=True)
    return [
        note(
            f"Not delivered, so that everything is {UNKNOWN}: {', '.join(english).lower()}.",
            f"未連携のため、すべて {UNKNOWN} となる項目: {'、'.join(japanese)}",
        )
    ]


def _dimension(name: str) -> tuple[str, str]:
    return DIMENSIONS.get(name, (name.replace("_", " ").capitalize(), name))


def _segment_table(dimension: str, segments: Sequence[Segment]) -> Markup:
    """Largest MRR first, at most MOST_SEGMENTS of them."""
    ranked = sorted(segments, key=lambda each: (-_mrr_of(each), each.name))
    total = sum(map(_mrr_of, segments))
    rows = [
        [
            _segment_name(each, total),
            *(marked(each.values.get(metric_id, NOTHING), unit) for metric_id, unit, *_ in COLUMNS),
        ]
        for each in ranked[:MOST_SEGMENTS]
    ]
    heads = [_dimension(dimension), *((english, japanese) for _, _, english, japanese in COLUMNS)]
    drawn = data_table(f"Segments by {_dimension(dimension)[0].lower()}", heads, rows)
    return element("div", drawn, *_rest(ranked[MOST_SEGMENTS:]), class_="panel")


def _rest(segments: Sequence[Segment]) -> list[Markup]:
    if not segments:
        return []
    amount = value_text(sum(map(_mrr_of, segments)), "currency")
    return [note(f"{len(segments)} more with an MRR of {amount} in all.", f"ほか{len(segments)}件(MRR計 {amount})")]


def _mrr_of(segment: Segment) -> float:
    return segment.values.get("mrr", NOTHING).value or 0.0


def _segment_name(segment: Segment, total: float) -> Markup:
    """The name, isolated so that text written right to left does not turn its surroundings, over its share of MRR."""
    share = 100 * _mrr_of(segment) / total if total > 0 else 0.0
    bar = element("span", class_="share", style=f"width:{share:.1f}%", title=f"{share:.1f}% of MRR")
    return join([element("bdi", segment.name), *([bar] if share > 0 else [])])
