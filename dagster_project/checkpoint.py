"""Writing down DuckDB databases that have no write-ahead log, so that a full disk is told and not died of.

Two things about DuckDB (2.0): closing a database writes it down, too, but says nothing where that fails; and where the
few bytes with which a checkpoint begins, in a file beside the database, cannot be written, the memory of the process
is in disorder from then on: it crashes soon.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import duckdb

BEGINNING = 1 << 16  # bytes; far more than a checkpoint begins with


def checkpoint(connection: duckdb.DuckDBPyConnection, database: str, path: Path) -> None:
    """Writes down the attached `database`, which is the file `path`; one that fails is not tried again by closing it.

    Raises OSError, which names the file, where there is no room to begin, and duckdb.Error where it ends on the way.
    """
    try:
        _require_room(path)
        connection.execute(f"checkpoint {database}")
    except Exception:
        with suppress(duckdb.Error):
            only_when_told(connection)
        raise


def only_when_told(connection: duckdb.DuckDBPyConnection) -> None:
    """Lets no database of this connection be written down by being closed."""
    connection.execute("pragma disable_checkpoint_on_shutdown")


def _require_room(path: Path) -> None:
    try:
        with TemporaryFile(dir=path.parent) as file:
            file.write(bytes(BEGINNING))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
