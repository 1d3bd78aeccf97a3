"""What the stages of a run cost: seconds of the clock and of the processor, kept as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dagster_project.files import write_whole


@dataclass(frozen=True)
class Cost:
    """One stage: seconds of the clock, and of all processors together."""

    stage: str
    wall_s: float
    cpu_s: float


@dataclass
class Timings:
    """The costs of one run, in order; each is written as soon as it is known, `{"stages": [...]}`."""

    path: Path
    elsewhere_cpu_s: Callable[[], float] = lambda: 0.0  # of other processes that work for this one
    costs: list[Cost] = field(default_factory=list)

    def begin(self) -> None:
        """What the process has cost so far is the cost of starting it, imports for the most part."""
        self.costs = [Cost("imports", round(_age(), 3), round(time.process_time(), 3))]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), self._cpu_s()
        try:
            yield
        finally:
            cost = Cost(name, round(time.perf_counter() - wall, 3), round(self._cpu_s() - cpu, 3))
            self.costs.append(cost)
            with suppress(OSError):  # a disk that is full is told by the stage that needs it
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.path, json.dumps({"stages": [asdict(one) for one in self.costs]}, indent=1))

    def _cpu_s(self) -> float:
        return time.process_time() + self.elsewhere_cpu_s()


def _age() -> float:
    """Seconds since this process began; where the system does not tell, the processor's so far."""
    try:
        began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()
