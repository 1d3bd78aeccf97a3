"""Audits in a process of their own, which imports Great Expectations while this one reads deliveries.

The import and the audits are Python for the most part, and one interpreter does one thing at a time: in this process
they would take their seconds from whatever is done beside them.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from typing import Any

from dagster_project.interpreter import beside_duckdb
from dagster_project.quality.forked import RAISED, TOLD, answer_of, end_with
from dagster_project.settings import PROJECT_ROOT


class AuditProcess:
    """One process, started where it is first needed, that runs one function after another until this one ends."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen | None = None
        self._pipe: Connection | None = None
        self._cpu_s = 0.0

    def start(self) -> None:
        """Lets it import what it needs, where it does not run already; returns at once."""
        with self._lock:
            self._ensure_started()

    def run(self, function: Callable[..., Any], *given: Any, progress: Callable[[str], None], **named: Any) -> Any:
        """What `function(*given, progress=..., **named)` returns there; its progress is told here, its error raised.

        Function, arguments and result must be such that can be pickled; of an error that cannot, the text is kept.
        Raises ChildProcessError where the process ends before it answers.
        """
        with self._lock:
            self._ensure_started()
            try:
                self._send((function, given, named))
                while (heard := self._receive())[0] == TOLD:
                    progress(heard[1])
            except BaseException:
                self._end()  # what it has yet to answer would be taken for the next one's
                raise
        if heard[0] == RAISED:
            raise heard[1]
        return heard[1]

    def cpu_s(self) -> float:
        """Seconds of the processor that it had taken up to its last word."""
        return self._cpu_s

    def stop(self) -> None:
        """Ends it; the next call starts another."""
        with self._lock:
            if self._process:
                self._end()

    def _ensure_started(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._pipe, there = Pipe()
            with there:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(there.fileno())],
                    cwd=PROJECT_ROOT,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[there.fileno()],
                    process_group=0,  # whoever interrupts a run at its terminal interrupts this process alone
                )

    def _send(self, request: tuple) -> None:
        try:
            self._pipe.send(request)
        except ConnectionError:
            raise self._ended() from None

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, said, cpu_s = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise self._ended() from None
        self._cpu_s += cpu_s
        return kind, said

    def _ended(self) -> ChildProcessError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        code = self._process.returncode
        memory = ": the system kills a process where memory runs out" if code == -signal.SIGKILL else ""
        return ChildProcessError(
            f"the process of the audits ended in the middle of one with exit code {code}{memory}; "
            "nothing was published; run again"
        )

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe.close()  # before, it would end by that, and the signal would find it ending
        self._process = None


AUDITS = AuditProcess()
atexit.register(AUDITS.stop)


def _serve(pipe: Connection) -> None:
    from dagster_project.quality.audit import load_great_expectations

    with suppress(Exception), beside_duckdb():
        load_great_expectations()  # the audit that needs it meets its error again
    told_cpu_s = 0.0

    def answer(kind: str, said: Any) -> None:
        nonlocal told_cpu_s
        of_forks = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = time.process_time() + of_forks.ru_utime + of_forks.ru_stime
        pipe.send((kind, said, cpu_s - told_cpu_s))
        told_cpu_s = cpu_s

    while True:
        function, given, named = pipe.recv()
        run = partial(function, *given, progress=lambda line: answer(TOLD, line), **named)
        with beside_duckdb():
            answered = answer_of(run)
        answer(*answered)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # which closes files and removes temporary ones
    end_with(os.getppid())
    with suppress(SystemExit, EOFError, ConnectionError):
        _serve(Connection(int(sys.argv[1])))
    os._exit(0)  # at a usual end DuckDB would complain of what Great Expectations keeps of it
