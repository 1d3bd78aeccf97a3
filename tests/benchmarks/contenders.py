"""The two that run: bare DuckDB (`reference.py`) and `keizoku nightly`, each a process of its own on the same files."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.company import BENCH, ROOT, Company
from benchmarks.measure import Cost, measured

CONTROL_TOTALS = ("closing_mrr", "customers", "events", "active_users_last_month")
# The first progress line of each stage, for a run that left no timings.
OPENING_LINES = {
    "reading new deliveries": "ingest",
    "auditing the raw extracts": "raw_audit",
    "building the models": "transform",
    "building the candidate": "candidate",
    "auditing the candidate": "audit",
    "publishing": "publish",
}


@dataclass(frozen=True)
class Stage:
    """A part of a run; CPU and memory where they are known. `peak_mb` is that of the process tree meanwhile."""

    stage: str
    wall_s: float
    cpu_s: float | None = None
    peak_mb: float | None = None


@dataclass(frozen=True)
class Run:
    """One measured run. `load` is the machine's load average of the minute before it."""

    contender: str  # reference or keizoku
    case: str  # full, night or nothing_new
    as_of: str
    wall_s: float
    cpu_s: float
    peak_mb: float
    load: float
    stages: tuple[Stage, ...]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reference:
    """Bare DuckDB: state and marts in `folder`."""

    company: Company
    folder: Path
    name = "reference"

    def start_anew(self) -> None:
        _set_aside(self.folder)

    def run(self, case: str, as_of: dt.date) -> Run:
        load = os.getloadavg()[0]
        mode = "full" if case == "full" else "night"
        options = ["--home", self.company.folder, "--format", self.company.format, "--work", self.folder]
        command = [self.company.python, BENCH / "reference.py", mode, *options, "--as-of", as_of.isoformat()]
        cost = measured(command, cwd=ROOT)
        told = json.loads(cost.stdout.splitlines()[-1])
        stages = tuple(Stage(name, seconds) for name, seconds in told["stages"].items())
        totals = {name: told[name] for name in CONTROL_TOTALS}
        (self.folder / "totals.json").write_text(json.dumps(totals))
        return _run(self.name, case, as_of, cost, load, stages)


@dataclass(frozen=True)
class Keizoku:
    """The nightly job of this checkout: its home is `folder`, its landing the company's own files."""

    company: Company
    folder: Path
    memory_limit: str | None = None
    name = "keizoku"

    def start_anew(self) -> None:
        """An empty home that reads the extracts where they are."""
        _set_aside(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / "landing").symlink_to(self.company.landing.resolve())

    def run(self, case: str, as_of: dt.date) -> Run:
        load = os.getloadavg()[0]
        self._timings().unlink(missing_ok=True)
        command = [sys.executable, "-m", "dagster_project.cli", "nightly", "--as-of", as_of.isoformat()]
        cost = measured(command, cwd=ROOT, env=self._environment())
        return _run(self.name, case, as_of, cost, load, self._stages(cost))

    def _stages(self, cost: Cost) -> tuple[Stage, ...]:
        if not self._timings().is_file():
            return stages_of_lines(cost)
        return stages_of_timings(json.loads(self._timings().read_text()), cost)

    def _timings(self) -> Path:
        return self.folder / "warehouse" / "timings.json"

    def _environment(self) -> dict[str, str]:
        own = {"KEIZOKU_HOME": str(self.folder), "KEIZOKU_VARS": str(self.company.settings_file())}
        if self.memory_limit:
            own["KEIZOKU_MEMORY_LIMIT"] = self.memory_limit
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEIZOKU_")}
        return {**inherited, **own}


def _set_aside(folder: Path) -> None:
    """Move a folder out of the way, until all that was measured is removed: where ext4 keeps no journal, it looks for
    minutes at every inode that was freed whenever it makes a file, which cost the next build of thousands 3 of 22 s."""
    if folder.exists():
        folder.rename(Path(mkdtemp(dir=folder.parent)) / folder.name)


def stages_of_timings(timings: dict[str, Any], cost: Cost) -> tuple[Stage, ...]:
    """The stages a run timed itself, one after the other from the start of the process, and the rest of its time."""
    stages, start = [], 0.0
    for row in timings["stages"]:
        end = start + row["wall_s"]
        stages.append(Stage(row["stage"], row["wall_s"], row["cpu_s"], cost.peak_between(start, end)))
        start = end
    return (*stages, Stage("rest", cost.wall_s - start, None, cost.peak_between(start, cost.wall_s)))


def stages_of_lines(cost: Cost) -> tuple[Stage, ...]:
    """The stages as the progress lines tell them apart; without CPU."""
    starts = [("imports", 0.0)]
    for at, line in cost.lines:
        told = line.partition(" s  ")[2]
        if told in OPENING_LINES:
            starts.append((OPENING_LINES[told], at))
    return tuple(
        Stage(name, end - start, None, cost.peak_between(start, end))
        for (name, start), (_, end) in pairwise([*starts, ("", cost.wall_s)])
    )


def _run(contender: str, case: str, as_of: dt.date, cost: Cost, load: float, stages: Sequence[Stage]) -> Run:
    return Run(contender, case, as_of.isoformat(), cost.wall_s, cost.cpu_s, cost.peak_mb, load, tuple(stages))
