"""How Python behaves while DuckDB computes in other threads of the process."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_usual = sys.getswitchinterval(), gc.isenabled()


@contextmanager
def beside_duckdb() -> Iterator[None]:
    """While it lasts, threads hand the interpreter over at once, and no garbage is looked for.

    DuckDB asks for the interpreter between any two of its tasks, and would wait 5 ms each time for a thread that only
    computes. And what is imported and the models are a million objects that stay: looking through them again and again
    takes a twentieth of a night of few rows, and finds some megabytes. Of several threads the first to enter changes
    the process, and the last to leave puts it back.
    """
    global _inside, _usual
    with _lock:
        if not _inside:
            _usual = sys.getswitchinterval(), gc.isenabled()
            sys.setswitchinterval(0.0001)
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                sys.setswitchinterval(_usual[0])
                if _usual[1]:
                    gc.enable()
