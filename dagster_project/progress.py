"""Showing a long run: a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

QUIET_SECONDS = 2.0  # a log gets at most one line in this time


@contextmanager
def shown(console: Console) -> Iterator[Callable[[str], None]]:
    """A progress listener: each line replaces the one before in a terminal and is printed, thinned out, elsewhere."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda line: status.update(f"{time.monotonic() - began:6.1f} s  {line}")
        return
    printed_at = float("-inf")

    def log(line: str) -> None:
        nonlocal printed_at
        now = time.monotonic()
        if now - printed_at >= QUIET_SECONDS:
            printed_at = now
            console.print(f"{now - began:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    yield log
