"""Progress in a log: every stage has its line, a step of many has one now and then."""

import io

from rich.console import Console

from dagster_project.progress import shown


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


def test_a_terminal_shows_the_newest_line():
    terminal = io.StringIO()
    with shown(Console(file=terminal, force_terminal=True, width=80)) as progress:
        progress("publishing")
    assert "\x1b" in terminal.getvalue()
