"""How time and memory grow with the scale and with the months of history: exponents fitted to benchmarks of a grid."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.benchmark import Parameters, Say, benchmark, commit
from benchmarks.tables import CASE_NAMES, medians, seconds, table

LINEAR = 1.05  # an exponent above it needs a reason and a mend
AXES = {"scale": "months", "months": "scale"}  # what grows, and what stands still meanwhile
GROWING = ("wall_s", "cpu_s", "peak_mb")
MEASURE_NAMES = {"wall_s": "wall", "cpu_s": "CPU", "peak_mb": "peak memory"}
PLOT = Path(__file__).with_name("plot.py")


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The b of y = a * x^b by least squares of the logarithms. Raises ValueError for fewer than two different x."""
    xs, ys = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    if len(set(xs)) < 2:
        raise ValueError(f"{points}: expected at least two different sizes")
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return covariance / sum((x - x_mean) ** 2 for x in xs)


def measure_grid(
    base: Parameters, scales: Iterable[float], months: Iterable[int], work: Path, out: Path, say: Say
) -> list[dict[str, Any]]:
    """One benchmark document per cell of the grid, kept as JSON in `out`.

    A cell that lies there with the same parameters and commit is taken as it is, so that an interrupted grid goes on;
    files that are not committed have no commit to know them by, and are measured anew.
    """
    out.mkdir(parents=True, exist_ok=True)
    documents, at = [], commit()
    for scale, length in product(sorted(scales), sorted(months)):
        parameters = replace(base, scale=scale, months=length)
        file = out / f"scale-{scale:g}-months-{length}-{base.format}.json"
        document = json.loads(file.read_text()) if file.is_file() else None
        if document and _is_of(document, parameters, at):
            say(f"{file}: measured already; remove it to measure it again")
        else:
            document = benchmark(parameters, work, say)
            file.write_text(json.dumps(document, indent=1))
        documents.append(document)
    return documents


def _is_of(document: Mapping[str, Any], parameters: Parameters, at: str | None) -> bool:
    is_committed = at is not None and not at.endswith("-dirty")
    row = json.loads(json.dumps(parameters.as_row()))  # as it was written
    return is_committed and document["commit"] == at and document["parameters"] == row


def growth(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`cells` (case, contender, scale, months and medians) and `exponents` along both axes.

    An exponent has the case, contender, measure, what grows (`along`), where it does (`at`), `exponent` over all
    sizes, and `last_step` between the two largest, which the fixed cost of a run blurs least.
    """
    cells = [
        {"case": case, "contender": contender, **{axis: document["parameters"][axis] for axis in AXES}, **found}
        for document in documents
        for case in CASE_NAMES
        for contender in ("reference", "keizoku")
        if (found := medians(document, case, contender))
    ]
    exponents = [
        _line(cells, case, contender, measure, along, at)
        for case in CASE_NAMES
        for contender in ("reference", "keizoku")
        for measure in GROWING
        for along, still in AXES.items()
        for at in sorted({cell[still] for cell in cells})
    ]
    return {"machine": documents[0]["machine"], "cells": cells, "exponents": [line for line in exponents if line]}


def markdown(found: Mapping[str, Any]) -> str:
    """The cells and the exponents of the nightly job as two tables."""
    cells = [
        [CASE_NAMES[cell["case"]], cell["contender"], f"{cell['scale']:g}", str(cell["months"]),
         seconds(cell["wall_s"]), seconds(cell["cpu_s"]), f"{cell['peak_mb']:,.0f}"]
        for cell in found["cells"]
    ]  # fmt: skip
    lines = [
        [f"{CASE_NAMES[line['case']]}, {MEASURE_NAMES[line['measure']]}", line["along"],
         f"{line['at']:g} {AXES[line['along']]}" if line["along"] == "scale" else f"scale {line['at']:g}",
         f"{line['exponent']:.2f}", f"{line['last_step']:.2f}", "above" if is_superlinear(line) else ""]
        for line in found["exponents"]
        if line["contender"] == "keizoku"
    ]  # fmt: skip
    return "\n".join(
        [
            *table(["case", "contender", "scale", "months", "wall s", "CPU s", "peak MB"], cells, texts=2),
            "",
            *table(["keizoku", "grows with", "at", "exponent", "last step", f"above {LINEAR}"], lines, texts=3),
        ]
    )


def is_superlinear(line: Mapping[str, Any]) -> bool:
    return max(line["exponent"], line["last_step"]) > LINEAR


def plot(found: Path, image: Path, tools: Path) -> None:
    """Draws a growth document; matplotlib lives with the generator's environment, not with the project's."""
    subprocess.run([str(tools), str(PLOT), str(found), str(image)], check=True)


def _line(
    cells: Iterable[Mapping[str, Any]], case: str, contender: str, measure: str, along: str, at: float
) -> dict[str, Any] | None:
    points = sorted(
        (cell[along], cell[measure])
        for cell in cells
        if (cell["case"], cell["contender"], cell[AXES[along]]) == (case, contender, at)
    )
    if len(points) < 2:
        return None
    fitted = {"exponent": exponent(points), "last_step": exponent(points[-2:])}
    return {"case": case, "contender": contender, "measure": measure, "along": along, "at": at, **fitted}
