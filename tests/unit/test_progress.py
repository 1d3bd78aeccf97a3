"""Progress in a log: every stage has its line, a step of many has one now and then, and the newest is not lost."""

import io
import threading
import time

import pytest
from rich.console import Console

from dagster_project import progress as progress_module
from dagster_project.progress import paced, shown


def wait_for(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited 10 s in vain"
        time.sleep(0.01)


def test_a_log_gets_every_stage_and_some_of_many_steps():
    log = io.StringIO()
    with shown(Console(file=log, width=200)) as progress:
        for number in range(1, 101):
            progress(f"usage/events: 1,000 rows ({number} of 100 deliveries)")
        progress("auditing the raw extracts")
        progress("publishing")
    lines = log.getvalue().splitlines()
    assert [line.split("  ")[-1] for line in lines] == [
        "usage/events: 1,000 rows (1 of 100 deliveries)",
        "auditing the raw extracts",
        "publishing",
    ]


def test_the_newest_of_many_steps_is_told_while_it_lasts(monkeypatch):
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.2)
    told = []
    with paced(told.append) as progress:
        for number in range(1, 4):
            progress(f"building a model ({number} of 206)")
        assert told == ["building a model (1 of 206)"]
        wait_for(lambda: len(told) == 2)
    assert told[1] == "building a model (3 of 206)"


def test_what_is_over_is_not_told_after_the_next_stage(monkeypatch):
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.05)
    told = []
    with paced(told.append) as progress:
        progress("reading (1 of 2 deliveries)")
        progress("reading (2 of 2 deliveries)")
        progress("building the models")
        time.sleep(0.2)
    assert told == ["reading (1 of 2 deliveries)", "building the models"]


def test_a_warning_is_always_told():
    told = []
    with paced(told.append) as progress:
        for number in range(3):
            progress(f"warning: raw/usage/events: found {number} unexpected (1 of 3 rows)")
    assert len(told) == 3


def test_lines_of_several_threads_come_one_at_a_time(monkeypatch):
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.01)
    inside, told = [], []

    def tell(line: str) -> None:
        inside.append(line)
        assert len(inside) == 1
        time.sleep(0.001)
        told.append(inside.pop())

    with paced(tell) as progress:
        threads = [threading.Thread(target=lambda: [progress(f"step {n}") for n in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(told) == 80


def test_nothing_is_told_after_an_error(monkeypatch):
    monkeypatch.setattr(progress_module, "QUIET_SECONDS", 0.05)
    told = []
    with pytest.raises(KeyError), paced(told.append) as progress:
        progress("building (1 of 2)")
        progress("building (2 of 2)")
        raise KeyError
    time.sleep(0.2)
    assert told == ["building (1 of 2)"]


def terminal_after(*lines: str) -> str:
    terminal = io.StringIO()
    with shown(Console(file=terminal, force_terminal=True, width=80)) as progress:
        for line in lines:
            progress(line)
        time.sleep(0.2)  # it is drawn every so often
    return terminal.getvalue()


def test_a_terminal_shows_the_newest_line():
    drawn = terminal_after("building the models", "publishing")
    assert "\x1b" in drawn
    assert "publishing" in drawn


def test_a_terminal_keeps_warnings_above_the_live_line():
    drawn = terminal_after("warning: raw/usage/events: expected [at most] three times the rows", "publishing")
    assert "warning: raw/usage/events: expected [at most] three times the rows\n" in drawn
    assert drawn.index("warning: ") < drawn.index("publishing")


def test_a_long_line_stays_one_line_of_the_terminal():
    drawn = terminal_after("building " + "a_very_long_name_" * 20)
    assert "…" in drawn
    assert "a_very_long_name_" * 5 not in drawn
