"""Documents of benchmarks as tables, for a terminal and for the README: both read Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

CASE_NAMES = {"full": "full build", "night": "one more day", "nothing_new": "nothing new"}
MEASURES = ("wall_s", "cpu_s", "peak_mb")
Row = Mapping[str, Any]


def medians(document: Row, case: str, contender: str) -> dict[str, float] | None:
    """Median wall and CPU seconds and peak MB of a contender's runs of a case; None where it has none."""
    runs = _runs(document, case, contender)
    return {name: median(run[name] for run in runs) for name in MEASURES} if runs else None


def stage_medians(document: Row, case: str, contender: str) -> list[dict[str, Any]]:
    """The stages of a contender in a case with their medians, in order; a measure that no run knows is None."""
    stages: dict[str, list[Row]] = {}
    for run in _runs(document, case, contender):
        for stage in run["stages"]:
            stages.setdefault(stage["stage"], []).append(stage)
    return [
        {"stage": name, **{measure: _median_of_known(rows, measure) for measure in MEASURES}}
        for name, rows in stages.items()
    ]


def ratios(document: Row, case: str) -> dict[str, float] | None:
    """keizoku / reference of the medians; None where one of them did not run."""
    reference, keizoku = (medians(document, case, name) for name in ("reference", "keizoku"))
    return {name: keizoku[name] / reference[name] for name in MEASURES} if reference and keizoku else None


def markdown(document: Row) -> str:
    """The document's figures: both in total, their ratio, the stages of the nightly job, and the nights one by one."""
    parts = [_heading(document), _totals_table(document), _stages_table(document), _remarks(document)]
    return "\n\n".join("\n".join(part) for part in parts)


def compared(comparison: Row) -> str:
    """A comparison in lines: what was compared and excused, and the first differences."""
    lines = [f"as of {comparison['as_of']}: {comparison['cells']:,} cells, {comparison['differences']} differences"]
    for total in comparison["totals"]:
        sign = "=" if total["reference"] == total["published"] else "differs from"
        lines.append(f"  {total['total']}: reference {total['reference']} {sign} published {total['published']}")
    for mart in comparison["marts"]:
        lines.append(f"  {mart['mart']}: {mart['cells']:,} cells, {mart['differences']} differences")
        lines += [f"    {cells:,} cells excused: {why}" for why, cells in mart["excused"].items()]
        lines += [f"    {shown}" for shown in mart["shown"]]
    return "\n".join(lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> list[str]:
    """A Markdown table whose first columns are text and whose others are figures."""
    lines = [header, [*["---"] * texts, *["---:"] * (len(header) - texts)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _heading(document: Row) -> list[str]:
    asked, on = document["parameters"], document["machine"]
    limit = f", `KEIZOKU_MEMORY_LIMIT={asked['memory_limit']}`" if asked["memory_limit"] else ""
    return [
        f"Scale {asked['scale']:g}, {asked['months']} months, {asked['format']}"
        f" ({document['input_bytes'] / 1e6:,.0f} MB){limit}; median of {asked['repeats']}, page cache warm;"
        f" {on['processor']}, {on['cores']} cores, {on['memory_gb']:g} GB, {on['system']}, Python {on['python']}."
    ]


def _totals_table(document: Row) -> list[str]:
    rows = []
    for case, name in CASE_NAMES.items():
        for contender in ("reference", "keizoku"):
            if found := medians(document, case, contender):
                figures = [seconds(found["wall_s"]), seconds(found["cpu_s"]), f"{found['peak_mb']:,.0f}"]
                rows.append([f"{name}, {contender}", *figures])
        if found := ratios(document, case):
            rows.append([f"{name}, ratio", *(f"{found[measure]:.2f}" for measure in MEASURES)])
    return table(["", "wall s", "CPU s", "peak MB"], rows)


def _stages_table(document: Row) -> list[str]:
    rows = []
    for case, name in CASE_NAMES.items():
        reference = medians(document, case, "reference")
        for stage in stage_medians(document, case, "keizoku"):
            share = f"{stage['wall_s'] / reference['wall_s']:.2f}" if reference else ""
            peak = "" if stage["peak_mb"] is None else f"{stage['peak_mb']:,.0f}"
            figures = [seconds(stage["wall_s"]), seconds(stage["cpu_s"]), peak, share]
            rows.append([f"{name}, {stage['stage']}", *figures])
    return table(["stage of keizoku", "wall s", "CPU s", "peak MB", "wall / reference in all"], rows)


def _remarks(document: Row) -> list[str]:
    nights = [seconds(run["wall_s"]) for run in _runs(document, "night", "keizoku")]
    lines = [f"Nights in order: {', '.join(nights)} s."] if len(nights) > 1 else []
    cells = sum(comparison["cells"] for comparison in document["comparisons"])
    wrong = sum(comparison["differences"] for comparison in document["comparisons"])
    return [*lines, f"Compared with the reference cell by cell: {cells:,} cells, {wrong} differences."]


def _runs(document: Row, case: str, contender: str) -> list[Row]:
    return [run for run in document["runs"] if (run["case"], run["contender"]) == (case, contender)]


def _median_of_known(rows: Iterable[Row], measure: str) -> float | None:
    known = [row[measure] for row in rows if row[measure] is not None]
    return median(known) if known else None
