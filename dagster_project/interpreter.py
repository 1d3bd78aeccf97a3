"""How Python behaves while DuckDB computes in other threads of the process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def beside_duckdb() -> Iterator[None]:
    """While it lasts, threads hand the interpreter over at once, and garbage is looked for rarely.

    DuckDB asks for the interpreter between any two of its tasks, and would wait 5 ms each time for a thread that only
    computes. And the models are hundreds of thousands of objects that stay: looking through them at Python's usual
    pace takes a fifteenth of a night of few rows.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.0001)
    gc.set_threshold(50_000, *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
