"""Small files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str, *, durably: bool = False) -> None:
    """Writes UTF-8 text so that a reader finds all of it, or what was there before; `durably`, also after a power cut.

    Raises OSError that names `path`: of a disk that is full the system tells only that it is.
    """
    content = text.encode()
    staged = path.with_name(f".{path.name}.new")
    try:
        with staged.open("wb") as file:
            file.write(content)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        os.replace(staged, path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
