"""A tiny benchmark from end to end: the marts of bare DuckDB and the published tables agree in every cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import TOOLS
from benchmarks.benchmark import Parameters, benchmark, differences
from benchmarks.company import CannotRun, require_bench, require_tools
from benchmarks.tables import compared, markdown

pytestmark = pytest.mark.long


@pytest.fixture
def tools() -> Path:
    """The Python that runs generator and reference."""
    try:
        require_bench()
        require_tools(TOOLS)
    except CannotRun as missing:
        pytest.skip(str(missing))
    return TOOLS


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
def test_every_cell_agrees(tmp_path, tools, format):
    parameters = Parameters(0.01, 6, format, 1, ("full", "night"), tools)
    document = benchmark(parameters, tmp_path, print)
    assert differences(document) == 0, "\n".join(map(compared, document["comparisons"]))
    assert len(document["comparisons"]) == 2
    for comparison in document["comparisons"]:
        assert all(mart["cells"] > 100 for mart in comparison["marts"]), compared(comparison)
    assert [(r["case"], r["contender"]) for r in document["runs"]] == [
        ("full", "reference"), ("full", "keizoku"), ("night", "reference"), ("night", "keizoku")
    ]  # fmt: skip
    for one in document["runs"]:
        assert one["peak_mb"] > 50 and 0 < one["cpu_s"] < 4 * one["wall_s"] and one["stages"]
    assert "one more day, ratio" in markdown(document)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"scale-0.01-months-6-{format}"]  # nothing else is left
