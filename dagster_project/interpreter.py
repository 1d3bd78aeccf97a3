"""How Python behaves while DuckDB computes in other threads of the process."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_usual: tuple[float, tuple[int, int, int]] = sys.getswitchinterval(), gc.get_threshold()


@contextmanager
def beside_duckdb() -> Iterator[None]:
    """While it lasts, threads hand the interpreter over at once, and garbage is looked for rarely.

    DuckDB asks for the interpreter between any two of its tasks, and would wait 5 ms each time for a thread that only
    computes. And the models are hundreds of thousands of objects that stay: looking through them at Python's usual
    pace takes a fifteenth of a night of few rows. Of several threads the first to enter changes the process, and the
    last to leave puts it back.
    """
    global _inside, _usual
    with _lock:
        if not _inside:
            _usual = sys.getswitchinterval(), gc.get_threshold()
            sys.setswitchinterval(0.0001)
            gc.set_threshold(50_000, *_usual[1][1:])
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                sys.setswitchinterval(_usual[0])
                gc.set_threshold(*_usual[1])
