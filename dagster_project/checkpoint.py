"""Checkpoints of DuckDB databases without a write-ahead log, so that a full disk is reported and crashes nothing.

Two facts about DuckDB (2.0): closing a database is a checkpoint, too, but one whose failure nobody is told; and where
the few bytes with which a checkpoint begins, in a file beside the database, cannot be written, the memory of the
process is corrupted, and it crashes soon.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Thread

import duckdb

BEGINNING = 1 << 16  # bytes; far more than a checkpoint begins with
EARLY_S = 2.0  # between two times that a growing file is written to the disk


def checkpoint(connection: duckdb.DuckDBPyConnection, database: str, path: Path) -> None:
    """Writes the attached `database` to its file `path`: all of it or nothing, then and not again when it is closed.

    Raises OSError, which names the file, where it cannot begin, and duckdb.Error where it fails midway.
    """
    only_when_told(connection)
    _require_room(path)
    connection.execute(f"checkpoint {database}")


def only_when_told(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on, closing this connection is no checkpoint of its databases."""
    connection.execute("pragma disable_checkpoint_on_shutdown")


@contextmanager
def written_early(path: Path) -> Iterator[None]:
    """While it lasts, what DuckDB adds to the file goes to the disk: a checkpoint waits for all that did not yet.

    The file may only come to be meanwhile. DuckDB must have closed it before this ends: its lock on the file is the
    process's, and lost when the process closes the file, whoever opened it. Errors are left to who writes the file.
    """
    over = Event()

    def write() -> None:
        while not path.exists():
            if over.wait(EARLY_S):
                return
        with suppress(OSError), path.open("rb") as file:
            while not over.wait(EARLY_S):
                with suppress(OSError):
                    os.fsync(file.fileno())

    thread = Thread(target=write, name="written early", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _require_room(path: Path) -> None:
    try:
        with TemporaryFile(dir=path.parent) as file:
            file.write(bytes(BEGINNING))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
