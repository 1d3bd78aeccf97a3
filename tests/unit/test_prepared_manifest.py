"""Models are parsed once for all homes of a checkout, and again where they changed."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dagster_project import compiled_jinja, transformation
from dagster_project.settings import DBT_PROJECT, Settings


@pytest.fixture
def parsed(monkeypatch, tmp_path) -> list[Path]:
    """The folders that a checkout of its own was parsed into; parsing takes little time."""
    project = tmp_path / "checkout" / "dbt"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target"))
    folders = []

    def parse(command: str, target: Path, variables: dict) -> None:
        folders.append(target)
        time.sleep(0.05)  # long enough for another thread to find nothing yet
        for name in ("manifest.json", "partial_parse.msgpack"):
            (target / name).write_text(command)

    def compile_(manifest: Path, compiled: Path) -> None:
        compiled.write_text(manifest.with_suffix(".msgpack").read_text())

    monkeypatch.setattr(transformation, "DBT_PROJECT", project)
    monkeypatch.setattr(transformation, "run_dbt", parse)
    monkeypatch.setattr(transformation, "_compile", compile_)
    return folders


def prepare(tmp_path: Path, home: str) -> Path:
    return transformation.prepared_manifest(Settings(home=tmp_path / home))


def test_homes_of_a_checkout_share_what_was_parsed(parsed, tmp_path):
    first, second = prepare(tmp_path, "a"), prepare(tmp_path, "b")
    assert first == second
    assert len(parsed) == 1
    assert first.parent == transformation.DBT_PROJECT / "target" / "manifests"


def test_threads_that_need_it_at_once_wait_for_one_of_them(parsed, tmp_path):
    """What a night that was refused leaves parsing, and the next one of the same process."""
    with ThreadPoolExecutor(4) as pool:
        manifests = set(pool.map(prepare, [tmp_path] * 4, "abcd"))
    assert (len(manifests), len(parsed)) == (1, 1)


def test_a_changed_model_is_parsed_again_and_the_former_state_goes(parsed, tmp_path):
    before = prepare(tmp_path, "a")
    (transformation.DBT_PROJECT / "macros" / "another.sql").write_text("{% macro another() %}{% endmacro %}")
    after = prepare(tmp_path, "a")
    assert (before.exists(), after.exists(), len(parsed)) == (False, True, 2)


@pytest.mark.parametrize("upgraded", ["dbt-core", "duckdb"])
def test_another_version_of_an_engine_builds_anew(parsed, tmp_path, monkeypatch, upgraded):
    before = prepare(tmp_path, "a")
    known = transformation.version
    monkeypatch.setattr(transformation, "version", lambda name: "99" if name == upgraded else known(name))
    assert prepare(tmp_path, "a").stem.split("-")[0] != before.stem.split("-")[0]


@pytest.mark.parametrize("compiler", ["python", "jinja2", "dbt-common"])
def test_another_version_of_what_compiles_them_compiles_again_but_builds_the_same(
    parsed, tmp_path, monkeypatch, compiler
):
    before = prepare(tmp_path, "a")
    if compiler == "python":
        monkeypatch.setattr(compiled_jinja, "PYTHON", "cpython-99")
    else:
        known = compiled_jinja.version
        monkeypatch.setattr(compiled_jinja, "version", lambda name: "99" if name == compiler else known(name))
    assert (prepare(tmp_path, "a"), len(parsed)) == (before, 2)
    assert len(list(before.parent.iterdir())) == 4  # the code for both


def test_a_read_only_checkout_leaves_it_to_the_homes(parsed, tmp_path, monkeypatch):
    monkeypatch.setattr(transformation.os, "access", lambda path, mode: False)
    assert prepare(tmp_path, "a").is_relative_to(tmp_path / "a")
    assert not (transformation.DBT_PROJECT / "target").exists()


def test_a_checkout_that_was_copied_is_parsed_again_but_builds_the_same(parsed, tmp_path, monkeypatch):
    """The manifest names the place of the checkout; what a build depends on is the content."""
    first = prepare(tmp_path, "a")
    copied = shutil.copytree(transformation.DBT_PROJECT, tmp_path / "elsewhere" / "dbt")
    monkeypatch.setattr(transformation, "DBT_PROJECT", copied)
    second = prepare(tmp_path, "a")
    assert (len(parsed), first.name == second.name) == (2, False)
    assert first.stem.split("-")[0] == second.stem.split("-")[0]
