"""Showing a long run: a live line in a terminal, plain lines in a log, events in Dagster.

A line says what is being done. Of the lines about one step of many, `(7 of 210 ...)`, only the newest matters; one that
begins with `warning: ` stays.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

QUIET_SECONDS = 2.0  # a log gets at most one line about a step of many in this time
ONE_OF_MANY = re.compile(r"\(\d[\d,]* of \d[\d,]*")
WARNING = "warning: "


@contextmanager
def shown(console: Console) -> Iterator[Callable[[str], None]]:
    """A progress listener on a console, with the seconds since the beginning: in a terminal each line replaces the one
    before, elsewhere it is printed as `paced` hands it on."""
    began = time.monotonic()

    def timed(line: str) -> str:
        return f"{time.monotonic() - began:6.1f} s  {line}"

    def printed(line: str) -> None:
        console.print(timed(line), markup=False, highlight=False, soft_wrap=True)

    if not console.is_terminal:
        with paced(printed) as listener:
            yield listener
        return
    with console.status("starting") as status:

        def live(line: str) -> None:
            text = Text(timed(line))
            text.truncate(console.width - len("⠋ "), overflow="ellipsis")
            status.update(text)

        yield lambda line: printed(line) if line.startswith(WARNING) else live(line)


@contextmanager
def paced(tell: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """A progress listener that hands lines on to `tell`; of those about one step of many, the newest every 2 seconds.

    Lines may come from any thread; `tell` is called by one at a time, also by one of its own.
    """
    lock, stopped = threading.Lock(), threading.Event()
    told_at, waiting = float("-inf"), None

    def hear(line: str) -> None:
        nonlocal told_at, waiting
        with lock:
            is_passing = ONE_OF_MANY.search(line) and not line.startswith(WARNING)
            if is_passing and time.monotonic() - told_at < QUIET_SECONDS:
                waiting = line
            else:
                told_at, waiting = time.monotonic(), None
                tell(line)

    def catch_up() -> None:
        nonlocal told_at, waiting
        while not stopped.wait(QUIET_SECONDS):
            with lock:
                if waiting is not None:
                    line, told_at, waiting = waiting, time.monotonic(), None
                    tell(line)

    follower = threading.Thread(target=catch_up, daemon=True)
    follower.start()
    try:
        yield hear
    finally:
        stopped.set()
        follower.join()
