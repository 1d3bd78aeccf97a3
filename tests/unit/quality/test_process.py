"""Audits in a process of their own: what comes back from there, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dagster_project.quality.audit import audit
from dagster_project.quality.forked import portable
from dagster_project.quality.process import AuditProcess

ROWS = {
    "type": "expect_table_row_count_to_be_between",
    "kwargs": {"min_value": 1},
    "severity": "critical",
    "meta": {"expected": "rows", "action": "look"},
}


@pytest.fixture(scope="module")
def process():
    process = AuditProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def audited(tmp_path) -> tuple[Path, Path]:
    """A database of one table, and the folder of its suite."""
    with duckdb.connect(str(tmp_path / "kpi.duckdb")) as connection:
        connection.execute("create table kpi_mrr as select 1 as mrr")
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "kpi_mrr.json").write_text(json.dumps({"name": "published/kpi_mrr", "expectations": [ROWS]}))
    return tmp_path / "kpi.duckdb", folder


def test_the_report_is_the_one_that_is_made_here_and_its_progress_is_told(process, audited):
    told, told_here = [], []
    report = process.run(audit, *audited, progress=told.append)
    assert report == audit(*audited, progress=told_here.append)
    assert report.is_accepted
    assert told == told_here == ["auditing kpi_mrr: 1 rows (1 of 1 tables)"]
    assert process.cpu_s() > 0


def test_two_processes_report_what_one_does_and_share_its_memory(process, audited):
    database, folder = audited
    suite = json.loads((folder / "kpi_mrr.json").read_text())
    limit = "(select value from duckdb_settings() where name = 'memory_limit')"
    query = {"unexpected_rows_query": f"select 1 from {{batch}} where {limit} <> '47.6 MiB'"}
    halved = {**ROWS, "type": "unexpected_rows_expectation", "kwargs": query, "meta": {"name": "halved"}}
    names = [f"kpi_{number}" for number in range(8)]
    with duckdb.connect(str(database)) as connection:
        for size, name in enumerate(names, 2):
            connection.execute(f"create table {name} as select range as mrr from range({size})")
            (folder / f"{name}.json").write_text(json.dumps({**suite, "name": f"published/{name}"}))
    told = []
    assert process.run(audit, database, folder, processes=2, progress=told.append) == audit(database, folder)
    largest_first = [*reversed(names), "kpi_mrr"]
    expected = [f"auditing {name}: {9 - n} rows ({n + 1} of 9 tables)" for n, name in enumerate(largest_first)]
    assert sorted(told) == sorted(expected)
    for name in [*names, "kpi_mrr"]:
        (folder / f"{name}.json").write_text(json.dumps({"name": f"published/{name}", "expectations": [halved]}))
    given = {"engine": {"memory_limit": "100MB"}, "processes": 2, "progress": print}
    assert process.run(audit, database, folder, **given).is_accepted


def test_what_is_raised_there_is_raised_here(process, audited):
    with pytest.raises(FileNotFoundError):
        process.run(audit, audited[0].with_name("absent.duckdb"), audited[1], progress=print)
    assert process.run(audit, *audited, progress=print).is_accepted


class Unportable(Exception):
    def __init__(self, problem: str, number: int) -> None:
        super().__init__(f"{problem} {number}")


def test_an_error_that_cannot_be_handed_over_keeps_its_text_and_its_place():
    found = portable(next(raised(Unportable("no such suite", 1))))
    assert (type(found), str(found)) == (RuntimeError, "Unportable: no such suite 1")
    assert "in raised" in found.__notes__[0]
    assert str(portable(next(raised(OSError(28, "No space left on device", "/data/x"))))).endswith("'/data/x'")


def raised(error: Exception) -> Iterator[Exception]:
    try:
        raise error
    except Exception as caught:
        yield caught


@pytest.mark.parametrize("failure", [KeyboardInterrupt, BrokenPipeError])
def test_an_audit_whose_listener_fails_leaves_no_answer_for_the_next_one(process, audited, failure):
    def failing(_):
        raise failure

    with pytest.raises(failure):
        process.run(audit, *audited, progress=failing)
    with pytest.raises(FileNotFoundError):
        process.run(audit, audited[0].with_name("absent.duckdb"), audited[1], progress=print)


def test_a_process_that_is_killed_is_told_and_the_next_audit_has_another(process, audited):
    def killed(_):
        process._process.kill()
        process._process.wait()

    with pytest.raises(ChildProcessError, match=r"exit code -9.*nothing was published; run again"):
        process.run(audit, *audited, progress=killed)
    assert process.run(audit, *audited, progress=print).is_accepted


def test_it_ends_with_the_process_that_asked_however_that_ends():
    script = (
        "from dagster_project.quality.process import AUDITS as a; a.start(); print(a._process.pid, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
        started = int(asking.stdout.readline())
        os.kill(asking.pid, signal.SIGKILL)
    require_ended(started)


def test_the_fork_of_an_audit_ends_with_it_however_that_ends(process, audited):
    database, folder = audited
    endless = (
        "select 1 from {batch} where (select sum(a.range + b.range) from range(10000000) a, range(10000000) b) < 0"
    )
    query = {**ROWS, "type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": endless}}
    for name in ("kpi_1", "kpi_2", "kpi_3"):
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create table {name} as select 1 as mrr")
        document = {"name": f"published/{name}", "expectations": [{**query, "meta": {"name": "endless"}}]}
        (folder / f"{name}.json").write_text(json.dumps(document))
    forks = []

    def killed_once_forked(_):
        while not forks:
            forks.extend(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        process._process.kill()  # which does nothing where it is gone: more may have been told before
        process._process.wait()

    process.start()
    pid = process._process.pid
    with pytest.raises(ChildProcessError):
        process.run(audit, database, folder, processes=2, progress=killed_once_forked)
    require_ended(int(forks[0]))


def require_ended(pid: int) -> None:
    end = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
