"""What a command costs: wall and CPU seconds and the memory of its whole process tree. Linux only: it reads /proc."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SAMPLE_SECONDS = 0.02
TREE_SECONDS = 0.5  # how often the tree is looked up anew; a process that lives shorter is small here
PAGE = os.sysconf("SC_PAGE_SIZE")
MB = 2**20


class CommandFailed(Exception):
    """A measured command ended with an error; the message holds the end of what it wrote."""


@dataclass(frozen=True)
class Cost:
    """`cpu_s` counts the process and every descendant it waited for, `peak_mb` the resident memory of the tree.

    `resident` are samples of (seconds since the start, MB), `lines` what came on stderr as (seconds, line).
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    stdout: str
    lines: tuple[tuple[float, str], ...]
    resident: tuple[tuple[float, float], ...]

    def peak_between(self, start: float, end: float) -> float:
        """MB of the largest sample between two moments in seconds since the start; 0 where none fell there."""
        return max((mb for at, mb in self.resident if start <= at < end), default=0.0)


def measured(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Runs a command to its end in a session of its own, once all that was written before is on the disk: who waits for
    the disk while a release is made safe would wait for what the run before left. Raises CommandFailed where it does
    not end with 0."""
    os.sync()
    began = time.perf_counter()
    with _started(command, cwd, env) as process:
        out, lines = [], []
        readers = [
            threading.Thread(target=lambda: out.append(process.stdout.read())),
            threading.Thread(target=_read_lines, args=(process.stderr, began, lines)),
        ]
        for reader in readers:
            reader.start()
        resident, status, used = _watched(process.pid, began)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        for reader in readers:
            reader.join()
    if process.returncode:
        said = [*(line for _, line in lines), *out[0].splitlines()][-30:]
        raise CommandFailed("\n".join([f"{' '.join(map(str, command))}: exit code {process.returncode}", *said]))
    # not the kernel's own maximum, which a child inherits from the size of its parent
    peak = max((mb for _, mb in resident), default=used.ru_maxrss / 1024)
    return Cost(wall, used.ru_utime + used.ru_stime, peak, out[0], tuple(lines), tuple(resident))


@contextmanager
def _started(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None) -> Iterator[subprocess.Popen]:
    """The process in a new session, which ends with it when the benchmark is interrupted."""
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env=env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        process.stderr.close()


def _read_lines(stream: IO[str], began: float, lines: list[tuple[float, str]]) -> None:
    for line in stream:
        lines.append((time.perf_counter() - began, line.rstrip("\n")))


def _watched(pid: int, began: float) -> tuple[list[tuple[float, float]], int, os.struct_rusage]:
    """Samples the session until its leader ends; returns them with its exit status and resource usage."""
    resident: list[tuple[float, float]] = []
    tree, looked_up = [pid], 0.0
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return resident, status, used
        now = time.perf_counter()
        if now - looked_up >= TREE_SECONDS:
            tree, looked_up = _session(pid), now
        resident.append((now - began, sum(map(_resident_bytes, tree)) / MB))
        time.sleep(SAMPLE_SECONDS)


def _session(leader: int) -> list[int]:
    """The processes of a session: the tree of its leader, also where a parent in between has ended."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _session_of(name) == leader]


def _session_of(pid: str) -> int | None:
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:  # it has ended
        return None
    return int(stat.rpartition(")")[2].split()[3])


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    processor = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE
    return {
        "processor": processor[0].partition(":")[2].strip() if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
