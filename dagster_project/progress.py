"""Showing a long run: a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

QUIET_SECONDS = 2.0  # a log gets at most one line about a step of many in this time
ONE_OF_MANY = re.compile(r"\(\d[\d,]* of \d[\d,]*")


@contextmanager
def shown(console: Console) -> Iterator[Callable[[str], None]]:
    """A progress listener: each line replaces the one before in a terminal and is printed elsewhere; of the lines
    about one step of many, `(7 of 210 ...)`, a log gets only some."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda line: status.update(f"{time.monotonic() - began:6.1f} s  {line}")
        return
    printed_at = float("-inf")

    def log(line: str) -> None:
        nonlocal printed_at
        now = time.monotonic()
        if not ONE_OF_MANY.search(line) or now - printed_at >= QUIET_SECONDS:
            printed_at = now
            console.print(f"{now - began:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    yield log
