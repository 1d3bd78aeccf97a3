"""The pure parts of the benchmark: measuring, stages, tables, exponents, the space it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from benchmarks import growth as growing
from benchmarks.benchmark import Parameters, commit
from benchmarks.company import CannotRun, Company, bytes_needed
from benchmarks.contenders import stages_of_lines, stages_of_timings
from benchmarks.growth import exponent, growth, is_superlinear, measure_grid
from benchmarks.growth import markdown as growth_markdown
from benchmarks.measure import CommandFailed, Cost, measured
from benchmarks.tables import markdown, medians, ratios, stage_medians

COST = Cost(
    wall_s=10.0,
    cpu_s=12.0,
    peak_mb=300.0,
    stdout="",
    lines=(
        (1.0, "   0.0 s  reading new deliveries"),
        (1.5, "   0.5 s  crm/accounts 2024-01-31: 3 rows (1 of 9 deliveries)"),
        (4.0, "   3.0 s  building the models"),
        (9.0, "   8.0 s  publishing"),
    ),
    resident=((0.5, 50.0), (2.0, 100.0), (5.0, 300.0), (9.5, 200.0)),
)


def run(contender, case, wall_s, stages=()):
    return {"contender": contender, "case": case, "wall_s": wall_s, "cpu_s": wall_s * 2, "peak_mb": wall_s * 100,
            "stages": list(stages)}  # fmt: skip


def document(runs, scale=0.1, months=36):
    return {
        "machine": {"processor": "P", "cores": 2, "memory_gb": 8.0, "system": "Linux 6", "python": "3.11"},
        "parameters": {"scale": scale, "months": months, "format": "parquet", "repeats": 3, "memory_limit": None},
        "input_bytes": 2_000_000,
        "runs": runs,
        "comparisons": [{"cells": 1200, "differences": 0}],
    }


def stage(name, wall_s, cpu_s=None):
    return {"stage": name, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": 10.0}


def test_a_command_costs_what_its_children_take_too():
    # it lives longer than the time between two looks at the tree
    child = "import time; x = bytearray(200_000_000); sum(range(5_000_000)); time.sleep(1.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"
    cost = measured([sys.executable, "-c", parent], cwd=Path.cwd())
    assert cost.stdout == "done\n"
    assert 0 < cost.cpu_s <= cost.wall_s * 4
    assert 200 < cost.peak_mb < 400


def test_a_failing_command_tells_its_last_words():
    with pytest.raises(CommandFailed, match="exit code 3\nno such thing"):
        measured([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"], cwd=Path.cwd())


def test_lines_are_stamped_as_they_arrive():
    script = "import sys, time; print('a', file=sys.stderr, flush=True); time.sleep(.3); print('b', file=sys.stderr)"
    (first, a), (second, b) = measured([sys.executable, "-c", script], cwd=Path.cwd()).lines
    assert (a, b) == ("a", "b")
    assert second - first >= 0.25


def test_stages_from_progress_lines():
    found = {one.stage: (one.wall_s, one.cpu_s, one.peak_mb) for one in stages_of_lines(COST)}
    assert found == {
        "imports": (1.0, None, 50.0),
        "ingest": (3.0, None, 100.0),
        "transform": (5.0, None, 300.0),
        "publish": (1.0, None, 200.0),
    }


def test_stages_from_timings_leave_a_rest():
    rows = [{"stage": "imports", "wall_s": 1.5, "cpu_s": 1.0}, {"stage": "ingest", "wall_s": 7.5, "cpu_s": 9.0}]
    found = [(one.stage, one.wall_s, one.cpu_s, one.peak_mb) for one in stages_of_timings({"stages": rows}, COST)]
    assert found == [("imports", 1.5, 1.0, 50.0), ("ingest", 7.5, 9.0, 300.0), ("rest", 1.0, None, 200.0)]


def test_medians_and_ratios():
    runs = [run("reference", "full", s) for s in (1.0, 2.0, 9.0)] + [
        run("keizoku", "full", s) for s in (3.0, 4.0, 50.0)
    ]
    found = document(runs)
    assert medians(found, "full", "keizoku") == {"wall_s": 4.0, "cpu_s": 8.0, "peak_mb": 400.0}
    assert ratios(found, "full") == {"wall_s": 2.0, "cpu_s": 2.0, "peak_mb": 2.0}
    assert ratios(found, "night") is None


def test_stage_medians_know_what_some_runs_know():
    runs = [run("keizoku", "full", 1.0, [stage("ingest", s, cpu)]) for s, cpu in ((1.0, None), (2.0, 5.0), (3.0, 7.0))]
    assert stage_medians(document(runs), "full", "keizoku") == [
        {"stage": "ingest", "wall_s": 2.0, "cpu_s": 6.0, "peak_mb": 10.0}
    ]


def test_the_table_names_machine_ratio_and_stages():
    runs = [run("reference", "full", 2.0), run("keizoku", "full", 5.0, [stage("ingest", 1.0, 1.5)])]
    runs += [run("keizoku", "night", s) for s in (1.0, 1.5)]
    text = markdown(document(runs))
    assert "P, 2 cores, 8 GB" in text
    assert "| full build, ratio | 2.50 | 2.50 | 2.50 |" in text
    assert "| full build, ingest | 1.0 | 1.5 | 10 | 0.50 |" in text
    assert "Nights in order: 1.0, 1.5 s." in text
    assert "1,200 cells, 0 differences" in text


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 1.3])
def test_the_exponent_of_a_power_is_its_power(power):
    assert exponent([(x, 7 * x**power) for x in (0.1, 1, 10)]) == pytest.approx(power)


def test_an_exponent_needs_two_sizes():
    with pytest.raises(ValueError, match="two different sizes"):
        exponent([(1, 5), (1, 6)])


def test_growth_along_both_axes():
    documents = [
        document([run("keizoku", "full", 10 + scale**1.2 * months)], scale, months)
        for scale in (1, 10, 100)
        for months in (12, 36)
    ]
    found = growth(documents)
    lines = {(e["measure"], e["along"], e["at"]): e for e in found["exponents"]}
    assert len(found["cells"]) == 6 and len(lines) == 3 * (2 + 3)
    by_scale = lines["wall_s", "scale", 36]
    assert by_scale["exponent"] < by_scale["last_step"] == pytest.approx(1.2, abs=0.02)
    assert is_superlinear(by_scale)
    assert not is_superlinear(lines["wall_s", "months", 100])
    assert "| full build, wall | scale | 36 months |" in growth_markdown(found)


def test_an_interrupted_grid_goes_on_at_the_same_commit_only(tmp_path, monkeypatch):
    base, measured_at = Parameters(1, 12, "csv", 1, ("full", "night"), Path(sys.executable)), []

    def measure(at, months):
        def benchmark(parameters, work, say):
            measured_at.append((at, parameters.months))
            return {"commit": at, "parameters": parameters.as_row()}

        monkeypatch.setattr(growing, "commit", lambda: at)
        monkeypatch.setattr(growing, "benchmark", benchmark)
        found = measure_grid(base, [1], months, tmp_path, tmp_path / "grid", print)
        assert [(d["commit"], d["parameters"]["months"]) for d in found] == [(at, length) for length in months]

    measure("one", [12])
    measure("one", [12, 24])
    assert measured_at == [("one", 12), ("one", 24)]
    measure("two", [12])
    assert measured_at[2:] == [("two", 12)]
    for unknown in ("two-dirty", None):
        measure(unknown, [12])
        measure(unknown, [12])
    assert measured_at[3:] == [("two-dirty", 12)] * 2 + [(None, 12)] * 2


def test_the_commit_tells_changed_and_new_files(tmp_path):
    def git(*command):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        return subprocess.run(["git", "-C", tmp_path, *identity, *command], check=True, capture_output=True, text=True)

    git("init")
    assert commit(tmp_path) is None
    (tmp_path / "model.sql").write_text("select 1")
    git("add", ".")
    git("commit", "--message", "A model")
    head = git("rev-parse", "HEAD").stdout.strip()
    assert commit(tmp_path) == head
    (tmp_path / "other.sql").write_text("select 2")
    assert commit(tmp_path) == f"{head}-dirty"
    (tmp_path / "other.sql").unlink()
    (tmp_path / "model.sql").write_text("select 3")
    assert commit(tmp_path) == f"{head}-dirty"


def test_a_full_disk_is_told_before_anything_is_generated(tmp_path, monkeypatch):
    company = Company(tmp_path / "in", 10, 36, "csv", Path(sys.executable))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**9))
    with pytest.raises(CannotRun, match=r"found 1\.0 GB of free disk; scale 10 .* set BENCH_HOME"):
        company.require_space(builds=1, releases=3)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    company.require_space(builds=1, releases=3)


def test_more_data_needs_more_disk():
    one, nine = bytes_needed(1, 36, "parquet", 1, 1), bytes_needed(1, 36, "parquet", 1, 9)
    assert one < nine < bytes_needed(1, 36, "parquet", 3, 9) < bytes_needed(10, 36, "parquet", 1, 1)
    assert bytes_needed(10, 12, "csv", 1, 1) < bytes_needed(10, 36, "csv", 1, 1)


def test_the_last_day_closes_the_months(tmp_path):
    days = {months: str(Company(tmp_path, 1, months, "csv", tmp_path).last_day) for months in (1, 12, 36)}
    assert days == {1: "2023-01-31", 12: "2023-12-31", 36: "2025-12-31"}


def test_generated_extracts_are_known_by_their_parameters(tmp_path):
    company = Company(tmp_path, 1, 12, "csv", tmp_path)
    (tmp_path / "generated.json").write_text(json.dumps({"scale": 1, "months": 12, "format": "csv"}))
    company.generate()  # would run `tmp_path` as Python where it did not know them
    with pytest.raises(OSError):
        Company(tmp_path, 1, 24, "csv", tmp_path).generate()


def test_the_command_refuses_where_something_is_missing(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "run", "--tools", tmp_path / "python"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "BENCH_HOME": str(tmp_path)}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "../shared/bench beside the checkout" in done.stderr or "make .venv-bench/.installed" in done.stderr
