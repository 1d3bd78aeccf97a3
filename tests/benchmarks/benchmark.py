"""One benchmark: reference and nightly job in turn on one company, their marts compared, everything as one document."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.company import LAST_NIGHT, ROOT, CannotRun, Company, require_bench, require_tools
from benchmarks.contenders import Keizoku, Reference, Run
from benchmarks.measure import CommandFailed, machine

CASES = ("full", "night", "nothing_new")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Parameters:
    """What is measured. `repeats` runs of each case and contender; a night is repeated on the following day."""

    scale: float
    months: int
    format: str
    repeats: int
    cases: tuple[str, ...]
    tools: Path  # the Python that runs generator and reference
    memory_limit: str | None = None  # KEIZOKU_MEMORY_LIMIT

    def as_row(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "tools"}


@contextmanager
def work_folder() -> Iterator[Path]:
    """BENCH_HOME, where the extracts stay for the next time, or a folder that is removed in the end."""
    if home := os.environ.get("BENCH_HOME"):
        yield Path(home).resolve()
        return
    with TemporaryDirectory(prefix="keizoku-benchmark-") as folder:
        yield Path(folder)


def benchmark(parameters: Parameters, work: Path, say: Say) -> dict[str, Any]:
    """Runs the cases in `work` and returns machine, parameters, input, runs and comparisons as JSON types.

    The page cache is warm: the reference reads everything once before anything is measured. Each case takes the two in
    turn; the full build starts from nothing every time, a night is the next day on top of the last one. Raises
    CannotRun where something is missing, CommandFailed where a run fails.
    """
    require_bench()
    require_tools(parameters.tools)
    at = commit()
    if parameters.repeats > LAST_NIGHT:
        raise CannotRun(f"{parameters.repeats} repeats: the generator writes {LAST_NIGHT} nights after the last day")
    input_folder = work / f"scale-{parameters.scale:g}-months-{parameters.months}-{parameters.format}"
    company = Company(input_folder, parameters.scale, parameters.months, parameters.format, parameters.tools)
    builds = parameters.repeats if "full" in parameters.cases else 1
    later = len(set(parameters.cases) - {"full"}) * parameters.repeats
    company.require_space(builds, releases=builds + later)
    say(f"generating scale {parameters.scale:g}, {parameters.months} months, {parameters.format}")
    company.generate()
    with TemporaryDirectory(prefix="run-", dir=work) as folder:
        reference = Reference(company, Path(folder) / "reference")
        keizoku = Keizoku(company, Path(folder) / "keizoku", parameters.memory_limit)
        session = _Session(company, reference, keizoku, parameters.repeats, say)
        session.full(builds)
        if "night" in parameters.cases:
            session.nights()
        if "nothing_new" in parameters.cases:
            session.nothing_new()
    return {
        "machine": machine(),
        "commit": at,
        "parameters": parameters.as_row(),
        "page_cache": "warm",
        "input_bytes": company.bytes(),
        "runs": [run.as_row() for run in session.runs if run.case in parameters.cases],
        "comparisons": session.comparisons,
    }


class _Session:
    """The runs of one benchmark in order."""

    def __init__(self, company: Company, reference: Reference, keizoku: Keizoku, repeats: int, say: Say) -> None:
        self.company, self.reference, self.keizoku, self.repeats, self.say = company, reference, keizoku, repeats, say
        self.as_of = company.last_day
        self.runs: list[Run] = []
        self.comparisons: list[dict[str, Any]] = []

    def full(self, repeats: int) -> None:
        self.reference.start_anew()
        self.reference.run("full", self.as_of)
        for _ in range(repeats):
            self._in_turn("full", anew=True)
        self._compare()

    def nights(self) -> None:
        for _ in range(self.repeats):
            self.as_of += dt.timedelta(days=1)
            self.company.generate_day(self.as_of)
            self._in_turn("night")
        self._compare()

    def nothing_new(self) -> None:
        """The same night again: what a run costs that has nothing to do. The reference has no such case."""
        for _ in range(self.repeats):
            self._measure(self.keizoku, "nothing_new")

    def _in_turn(self, case: str, anew: bool = False) -> None:
        for contender in (self.reference, self.keizoku):
            if anew:
                contender.start_anew()
            self._measure(contender, case)

    def _measure(self, contender: Reference | Keizoku, case: str) -> None:
        run = contender.run(case, self.as_of)
        self.runs.append(run)
        self.say(f"{case:12}{contender.name:10}{run.wall_s:8.1f} s {run.cpu_s:8.1f} s CPU {run.peak_mb:7.0f} MB")

    def _compare(self) -> None:
        """In a process of its own: the peak memory of a child counts that of the process that started it."""
        module = [sys.executable, "-m", "benchmarks", "compare"]
        command = [*module, self.keizoku.folder, self.reference.folder, self.as_of.isoformat(), "--json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, capture_output=True, text=True)
        if not done.stdout:
            raise CommandFailed(f"the comparison as of {self.as_of} failed:\n{done.stderr[-3000:]}")
        comparison = json.loads(done.stdout)
        self.comparisons.append(comparison)
        self.say(f"compared as of {self.as_of}: {comparison['cells']:,} cells, {comparison['differences']} differences")


def differences(document: dict[str, Any]) -> int:
    """Cells and control totals that differ without a reason, over all comparisons of a benchmark."""
    return sum(comparison["differences"] for comparison in document["comparisons"])


def commit(checkout: Path = ROOT) -> str | None:
    """The commit checked out, with -dirty behind it where a file is changed or new; None where there is none."""

    def git(*command: str) -> str:
        return subprocess.run(["git", "-C", str(checkout), *command], capture_output=True, text=True).stdout.strip()

    head = git("rev-parse", "--verify", "HEAD")
    return (f"{head}-dirty" if git("status", "--porcelain") else head) if head else None
