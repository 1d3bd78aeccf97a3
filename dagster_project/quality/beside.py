"""Audits in a process of their own, which imports Great Expectations while this one reads deliveries.

The import and the audits are Python for the most part, and one interpreter does one thing at a time: in this process
they would take their seconds from whatever is done beside them.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from typing import Any

from dagster_project.interpreter import beside_duckdb
from dagster_project.quality.audit import load_great_expectations
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

        Function, arguments, result and error must be such that can be pickled. Raises ChildProcessError where the
        process ends before it answers.
        """
        with self._lock:
            self._ensure_started()
            try:
                outcome, said = self._answer((function, given, named), progress)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise ChildProcessError(
                    f"the process of the audits ended in the middle of one, with exit code {self._process.wait()}: the "
                    "system kills it (-9) where memory runs out; nothing was published; run again"
                ) from None
            except BaseException:
                self._kill()  # what it has yet to answer would be taken for the next one's
                raise
        if outcome == "raised":
            raise said
        return said

    def cpu_s(self) -> float:
        """Seconds of the processor that it had taken up to its last word."""
        return self._cpu_s

    def stop(self) -> None:
        """Ends it; the next call starts another."""
        with self._lock:
            if self._process:
                self._kill()

    def _ensure_started(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._pipe, there = Pipe()
            with there:
                command = [sys.executable, "-m", __name__, str(there.fileno())]
                # in a session of its own: whoever interrupts a run interrupts this process, which ends the other
                self._process = subprocess.Popen(
                    command, cwd=PROJECT_ROOT, pass_fds=[there.fileno()], start_new_session=True
                )

    def _answer(self, request: tuple, progress: Callable[[str], None]) -> tuple[str, Any]:
        self._pipe.send(request)
        while True:
            kind, said, cpu_s = self._pipe.recv()
            self._cpu_s += cpu_s
            if kind != "told":
                return kind, said
            progress(said)

    def _kill(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()
        self._process = None


AUDITS = AuditProcess()
atexit.register(AUDITS.stop)


def _serve(pipe: Connection) -> None:
    with beside_duckdb():
        load_great_expectations()
    told_cpu_s = 0.0

    def answer(kind: str, said: Any) -> None:
        nonlocal told_cpu_s
        cpu_s = time.process_time()
        pipe.send((kind, said, cpu_s - told_cpu_s))
        told_cpu_s = cpu_s

    with suppress(EOFError, BrokenPipeError):
        while True:
            function, given, named = pipe.recv()
            try:
                with beside_duckdb():
                    result = function(*given, progress=lambda line: answer("told", line), **named)
            except BrokenPipeError:
                raise
            except Exception as error:
                answer("raised", error)
            else:
                answer("returned", result)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
    os._exit(0)  # nothing is open; DuckDB would complain of what Great Expectations keeps of it
