"""Work divided between a process and a fork of it: each part is done once, and what fails in either is told here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.quality.forked import shared_with_fork

COUNT = 1_000


def done(numbers: Iterator[int], tell) -> tuple[int, list[int]]:
    mine = []
    for number in numbers:
        tell(f"{os.getpid()} {number}")
        mine.append(number)
        time.sleep(0.0005)
    return os.getpid(), mine


def test_each_number_is_done_once_and_told_once_by_two_processes():
    told = []
    (here, mine), (there, its) = shared_with_fork(done, COUNT, told.append)
    assert here == os.getpid() != there
    assert mine and its, "one of the two did it all"
    assert sorted(mine + its) == list(range(COUNT))
    assert sorted(told) == sorted([f"{here} {n}" for n in mine] + [f"{there} {n}" for n in its])


def test_what_the_fork_tells_is_not_kept_to_the_end():
    told = []

    def slow_here(numbers, tell):
        for number in numbers:
            if os.getpid() == parent:
                heard = [line for line in told if not line.startswith(str(parent))]
                if heard:
                    return number
            tell(f"{os.getpid()} {number}")
            time.sleep(0.01)

    parent = os.getpid()
    assert shared_with_fork(slow_here, 100, told.append)[0] is not None


class Failure(Exception):
    pass


def failing_in(role: str, parent: int):
    def work(numbers, tell):
        for _ in numbers:
            if (os.getpid() == parent) == (role == "here"):
                raise Failure(f"{role} {os.getpid()}")
            time.sleep(0.01)

    return work


@pytest.mark.parametrize("role", ["here", "there"])
def test_an_error_of_either_is_raised_and_the_fork_is_gone(role):
    before = children()
    with pytest.raises(Failure, match=role) as raised:
        shared_with_fork(failing_in(role, os.getpid()), COUNT, print)
    if role == "there":
        assert "in work" in raised.value.__notes__[0]
    assert children() == before


def test_a_fork_that_is_killed_is_told():
    def killed_there(numbers, tell):
        for _ in numbers:
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.01)

    before, parent = children(), os.getpid()
    with pytest.raises(
        ChildProcessError, match=r"one of the two processes of an audit ended before it answered.*run again"
    ):
        shared_with_fork(killed_there, COUNT, print)
    assert children() == before


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
