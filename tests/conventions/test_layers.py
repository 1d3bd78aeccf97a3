"""Imports go one way, heavy packages stay where they belong, and the repository names no machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dagster_project"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LOGIC = ("extracts", "quality", "publishing", "report", "sample")
SHARED = tuple(f"dagster_project.{name}" for name in ("checkpoint", "files", "interpreter", "settings", "tables"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def names(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_only_the_wiring_knows_dagster(path):
    if path.parent.name != "defs" and path.name != "definitions.py":
        assert not [name for name in imports(path) if re.match(r"dagster(_dbt)?(\.|$)", name)]


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_only_the_audit_knows_great_expectations(path):
    if path != PACKAGE / "quality" / "audit.py":
        assert not [name for name in imports(path) if name.startswith("great_expectations")]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name in LOGIC], ids=names)
def test_the_logic_packages_import_only_themselves_and_what_all_share(path):
    own = f"dagster_project.{path.parent.name}"
    foreign = [
        name for name in imports(path) if name.startswith("dagster_project") and not name.startswith((own, *SHARED))
    ]
    assert foreign in ([], ["dagster_project"])


def test_what_all_share_imports_none_of_them():
    foreign = {name for module in SHARED for name in imports(ROOT / f"{module.replace('.', '/')}.py")}
    assert not [name for name in foreign if name.startswith("dagster_project")]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name != "settings.py"], ids=names)
def test_only_the_settings_read_the_environment(path):
    reads = re.findall(r"os\.(?:getenv|environ(?!\[\"\w+\"\] = |\.setdefault\(|\}))", path.read_text())
    assert reads == []


@pytest.mark.parametrize("module", ["dagster_project.cli", "dagster_project.nightly"])
def test_the_command_line_starts_without_heavy_packages(module):
    heavy = ("dagster", "dbt.cli", "great_expectations", "pandas")
    script = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_repository_names_no_machine_and_no_registry():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert len(tracked) > 50
    forbidden = re.compile(r"pypi\.org|pythonhosted|/root/|/home/\w+/|/work/(main|shared)", re.IGNORECASE)
    for name in filter(None, tracked):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            assert not forbidden.search(path.read_text(encoding="utf-8", errors="replace")), name


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_nothing_needs_the_semantic_extra(path):
    assert not [name for name in imports(path) if re.match(r"(dbt_)?metricflow", name)]


@pytest.mark.parametrize(("lock", "at_least"), [("requirements.lock", 50), ("requirements-semantic.lock", 2)])
def test_a_lock_file_pins_every_package_with_hashes_and_names_no_index(lock, at_least):
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^([\w.\-\[\],]+)==", text, re.MULTILINE)
    assert len(packages) > at_least
    assert len(re.findall(r"^[\w.\-\[\],]+==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(packages)
    assert "--index-url" not in text
    assert "://" not in text
