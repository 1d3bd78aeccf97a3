"""Numbered work divided between this process and a fork of it: each takes the next number when it is done with one.

A fork has at once what this process imported, which takes seconds. It has none of the other threads, and a lock that
one of them held stays held: only a process of which no other thread computes may be forked.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

Tell = Callable[[str], None]

TOLD, RAISED, RETURNED = "told", "raised", "returned"
NUMBER_BYTES = 2


def shared_with_fork(work: Callable[[Iterator[int], Tell], Any], count: int, tell: Tell) -> tuple[Any, Any]:
    """What `work(numbers, tell)` returns here and in the fork; each is given some of the numbers below `count`.

    What it tells there is told here, before the next number; an error of one of the two is raised. Raises
    ChildProcessError where the fork ends before it answers.
    """
    with _queue(count) as queue, _fork(work, queue) as pipe:
        returned = []

        def hear() -> None:
            kind, said = _next_word(pipe)
            if kind == RAISED:
                raise said
            tell(said) if kind == TOLD else returned.append(said)

        def numbers() -> Iterator[int]:
            for number in _taken_from(queue):
                while not returned and pipe.poll():
                    hear()
                yield number

        here = work(numbers(), tell)
        while not returned:
            hear()
        return here, returned[0]


def end_with(parent: int) -> None:
    """Lets this process be told to end, within a second, when the one that started it is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, daemon=True).start()


def answer_of(function: Callable[[], Any]) -> tuple[str, Any]:
    """RETURNED or RAISED, and what another process can read of it. Raises ConnectionError where nobody is told."""
    try:
        return RETURNED, function()
    except ConnectionError:
        raise
    except Exception as error:
        return RAISED, portable(error)


def portable(error: Exception) -> Exception:
    """The error as another process can read it, with where it was raised as a note: its traceback stays in this one."""
    where = "".join(traceback.format_tb(error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in the process of the audits:\n{where}")
    return error


@contextmanager
def _queue(count: int) -> Iterator[int]:
    """A pipe that holds the numbers, for whoever reads first: the descriptor to read from."""
    queue, filled = os.pipe()
    with os.fdopen(filled, "wb") as file:
        file.write(b"".join(number.to_bytes(NUMBER_BYTES, "big") for number in range(count)))
    try:
        yield queue
    finally:
        os.close(queue)


def _taken_from(queue: int) -> Iterator[int]:
    while taken := os.read(queue, NUMBER_BYTES):
        yield int.from_bytes(taken, "big")


@contextmanager
def _fork(work: Callable, queue: int) -> Iterator[Connection]:
    here, there = Pipe(duplex=False)
    process = get_context("fork").Process(target=_work_there, args=(work, queue, here, there, os.getpid()), daemon=True)
    with here:
        with there:
            process.start()
        try:
            yield here
        except BaseException:
            process.terminate()
            raise
        finally:
            process.join(10)
            process.kill()
            process.join()


def _work_there(work: Callable, queue: int, here: Connection, there: Connection, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what the parent does then would be an error of a query here
    end_with(parent)
    here.close()  # so that a word to a process that is gone fails
    with suppress(ConnectionError):
        there.send(answer_of(lambda: work(_taken_from(queue), lambda line: there.send((TOLD, line)))))


def _next_word(pipe: Connection) -> tuple[str, Any]:
    try:
        return pipe.recv()
    except (EOFError, ConnectionError):
        raise ChildProcessError(
            "one of the two processes of an audit ended before it answered, as where memory runs out; "
            "nothing was published; run again"
        ) from None
