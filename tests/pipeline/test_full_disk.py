"""A disk that fills up in the middle of a run: a clear word, the old release served, and nothing to mend by hand."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from conftest import OF_ONE_RELEASE, Company, require_equal

from dagster_project import nightly, transformation
from dagster_project.cli import main
from dagster_project.publishing.release import served_release
from dagster_project.sample import write_sample_company
from dagster_project.settings import PROJECT_ROOT, Settings
from dagster_project.transformation import TransformationFailed

# `keizoku nightly`, in a home whose disk is filled but for some bytes when a stage begins.
FILLING_RUN = """
import os, sys
from dagster_project import cli, nightly

home, name, spared = os.environ["KEIZOKU_HOME"], sys.argv[1], int(sys.argv[2])
stage = getattr(nightly, name)

def on_a_full_disk(*arguments):
    disk = os.statvfs(home)
    with open(os.path.join(home, "ballast"), "wb") as file:
        file.write(bytes(disk.f_bavail * disk.f_frsize - spared))
    return stage(*arguments)

setattr(nightly, name, on_a_full_disk)
sys.argv[1:] = ["nightly"]
cli.run()
"""
MB = 1 << 20


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Company:
    """A company with a release, and a day delivered that no run has read."""
    company = Company(Settings(home=tmp_path_factory.mktemp("template") / "home"))
    write_sample_company(company.settings.landing, accounts=30, months=4)
    company.night()
    for extract in ("crm/accounts", "crm/subscriptions", "usage/events"):
        newest = max((company.settings.landing / extract).iterdir())
        shutil.copytree(newest, newest.with_name("2025-10-01"))
    return company


@pytest.fixture(scope="module")
def expected(template, tmp_path_factory) -> Path:
    """The tables of the next run where there is room."""
    company = Company(Settings(home=tmp_path_factory.mktemp("expected") / "home"))
    shutil.copytree(template.home, company.home, symlinks=True)
    company.night()
    return company.settings.published / "kpi.duckdb"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own of 80 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def on_disk(template: Company, folder: Path) -> Company:
    company = Company(template.settings.model_copy(update={"home": folder / "home"}))
    shutil.copytree(template.home, company.home, symlinks=True)
    return company


def require_clear_words(company: Company, done: subprocess.CompletedProcess, said: str, place: Path) -> None:
    """The run ended with 1, says where and what to do, and the release before is served as it was."""
    told = [line for line in done.stderr.splitlines() if line.startswith("keizoku: ")]
    assert done.returncode == 1 and len(told) == 1, done.stderr
    assert f"keizoku: {place}" in told[0] and f": {said}; " in told[0] and "make room and run again" in told[0]
    assert f"still served: {served_release(company.settings).release_id}" in done.stderr
    assert not any(words in done.stderr for words in ("Traceback", "leaked"))


def require_next_run_is_right(company: Company, expected: Path) -> None:
    company.night()
    require_equal(company.settings.published / "kpi.duckdb", expected, OF_ONE_RELEASE)


@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "spared", "place"),
    [
        ("ingest", 0, "lake"),
        ("ingest", 40 << 10, "lake"),
        ("audit_raw", 0, ""),
        ("transform", 0, "warehouse"),
        ("transform", 4 * MB, "warehouse"),
        ("build_candidate", 0, "releases"),
        ("build_candidate", 1 * MB, "releases"),
        ("audit_candidate", 0, ""),
        ("publish", 0, "releases"),
        ("publish", 300 << 10, "releases"),
    ],
)
def test_a_disk_that_is_full_when_a_stage_begins(template, expected, small_disk, stage, spared, place):
    company = on_disk(template, small_disk)
    served = os.readlink(company.settings.published)
    done = subprocess.run(
        [sys.executable, "-c", FILLING_RUN, stage, str(spared)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KEIZOKU_HOME": str(company.home), "PYTHONPATH": str(PROJECT_ROOT)},
    )
    require_clear_words(company, done, "No space left on device", company.home / place)
    assert os.readlink(company.settings.published) == served
    assert company.rows("kpi_mrr") == template.rows("kpi_mrr")
    (company.home / "ballast").unlink()
    require_next_run_is_right(company, expected)


@pytest.mark.long
def test_a_file_that_may_not_grow(template, expected, tmp_path):
    """As a quota does it, and on every machine."""
    company = on_disk(template, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "dagster_project.cli", "nightly"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT_ROOT,
        env={**os.environ, "KEIZOKU_HOME": str(company.home)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MB, 4 * MB)),
    )
    require_clear_words(company, done, "File too large", company.home / "warehouse")
    assert not transformation.is_built(company.settings)
    assert company.rows("kpi_mrr") == template.rows("kpi_mrr")
    require_next_run_is_right(company, expected)


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (OSError(28, "No space left on device", "/data/x.json"), "/data/x.json"),
        (OSError(28, "No space left on device"), None),
        (duckdb.IOException('IO Error: Could not write file "/data/x": No space left on device'), "/data/x"),
        (duckdb.IOException('{"said":"Could not write file \\"/data/x\\": No space left on device"}'), "/data/x"),
        (TransformationFailed('Failed to commit: Could not write file "/data/x": No space left on device'), "/data/x"),
    ],
)
def test_whichever_library_tells_it_the_command_says_where_and_what_to_do(company, monkeypatch, error, place):
    def full(*_):
        raise error

    monkeypatch.setattr(nightly, "ingest", full)
    monkeypatch.setenv("KEIZOKU_HOME", str(company.home))
    outcome = CliRunner().invoke(main, ["nightly"])
    assert outcome.exit_code == 1
    assert f"keizoku: {place or company.home}: No space left on device; " in outcome.stderr
    assert "nothing is served yet" in outcome.stderr


def test_another_error_is_not_taken_for_a_full_disk(company, monkeypatch):
    def broken(*_):
        raise PermissionError(13, "Permission denied", "/data/lake")

    monkeypatch.setattr(nightly, "ingest", broken)
    monkeypatch.setenv("KEIZOKU_HOME", str(company.home))
    outcome = CliRunner().invoke(main, ["nightly"])
    assert isinstance(outcome.exception, PermissionError)
