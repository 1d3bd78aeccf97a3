"""A database that cannot be written down: an error, yesterday's tables in the file, and a process that goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from conftest import files_no_larger_than

from dagster_project import checkpoint as module
from dagster_project.checkpoint import checkpoint, written_early
from dagster_project.settings import PROJECT_ROOT

TABLES = 60


def build(path: Path, number: int) -> duckdb.DuckDBPyConnection:
    """Tables of rows that all say `number`, in a file to which nothing was written yet."""
    connection = duckdb.connect()
    connection.execute("set checkpoint_threshold = '1 TB'")
    connection.execute(f"attach '{path}' as built (recovery_mode no_wal_writes)")
    for table in range(TABLES):
        connection.execute(f"create or replace table built.t{table} as select {number} as number from range(5000)")
    return connection


def held(path: Path) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(f"select distinct number from t{TABLES - 1}").fetchall()


@pytest.mark.parametrize(("size", "error"), [(1, OSError), (1 << 18, duckdb.Error)], ids=["before_it_begins", "midway"])
def test_one_that_fails_is_told_and_not_tried_again_by_closing(tmp_path, size, error):
    path = tmp_path / "w.duckdb"
    with build(path, 1) as connection:
        checkpoint(connection, "built", path)
    with build(path, 2) as connection, files_no_larger_than(size), pytest.raises(error) as told:
        checkpoint(connection, "built", path)  # closed when there is room again
    assert str(path) in str(told.value) and "File too large" in str(told.value)
    assert held(path) == [(1,)]
    with build(path, 3) as connection:
        checkpoint(connection, "built", path)
    assert held(path) == [(3,)]


MANY_TIMES = """
from pathlib import Path
import pytest
from conftest import files_no_larger_than
from test_checkpoint import build, checkpoint, held

path = Path("w.duckdb")
for number in range(20):
    connection = build(path, number)
    with files_no_larger_than(1):
        with pytest.raises(OSError):
            checkpoint(connection, "built", path)
        connection.close()
    with build(path, number) as connection:
        checkpoint(connection, "built", path)
    assert held(path) == [(number,)]
"""


def test_the_process_goes_on(tmp_path):
    """Without a check of the room it crashes, at one of these or another."""
    places = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(PROJECT_ROOT)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {places}\n{MANY_TIMES}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("works", [True, False], ids=["written", "no_room"])
def test_a_growing_file_is_written_early_and_stays_locked(tmp_path, monkeypatch, works):
    path, written = tmp_path / "w.duckdb", threading.Semaphore(0)

    def fsync(handle):
        assert os.fstat(handle).st_ino == path.stat().st_ino
        written.release()
        if not works:
            raise OSError("no room")

    monkeypatch.setattr(module, "EARLY_S", 0.01)
    monkeypatch.setattr(module.os, "fsync", fsync)
    with written_early(path), duckdb.connect(str(path)) as connection:
        connection.execute("create table t as select 1 as number")
        assert all(written.acquire(timeout=10) for _ in range(3))  # again and again, whatever came of it
        refused = subprocess.run(
            [sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r})"], capture_output=True, text=True
        )
        assert "Conflicting lock" in refused.stderr
    assert "written early" not in [thread.name for thread in threading.enumerate()]


def test_a_file_that_never_comes_to_be_is_waited_for_no_longer_than_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EARLY_S", 60)
    started = time.monotonic()
    with written_early(tmp_path / "w.duckdb"):
        pass
    assert time.monotonic() - started < 30
    assert list(tmp_path.iterdir()) == []
