"""Reading suite files: native Great Expectations JSON plus the few rules this project adds.

Rules: severity is `critical` or `warning`; every expectation has a name that is unique in its suite (its type,
or `type:meta.name`); SQL expectations have a `meta.name` and read `{batch}`. `meta.allow_empty` on the suite
says that its table may have no rows; `meta.action` (on an expectation, else on the suite) says what to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_project.quality.results import Guidance

SQL_EXPECTATION = "unexpected_rows_expectation"
SEVERITIES = ("critical", "warning")


class SuiteError(ValueError):
    """A suite file that cannot be used; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class Planned:
    """One expectation as its file declares it; `config` is the mapping Great Expectations takes."""

    expectation: str
    column_name: str | None
    severity: str
    guidance: Guidance
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Suite:
    """One suite: `name` such as `published/kpi_mrr`, and the table it is run on."""

    name: str
    table: str
    allow_empty: bool
    planned: tuple[Planned, ...]


def suite_names(folder: Path) -> list[str]:
    """Names of all suites below `folder`, sorted: the folder's own name, then the path without its suffix."""
    return sorted(f"{folder.name}/{path.relative_to(folder).with_suffix('')}" for path in folder.rglob("*.json"))


def suite_path(folder: Path, name: str) -> Path:
    return folder / f"{name.removeprefix(folder.name + '/')}.json"


def read_suite(path: Path, name: str, table: str) -> Suite:
    """The suite of one file. Raises SuiteError where the file breaks a rule of this module."""
    document = _document(path)
    if document.get("name") != name:
        raise SuiteError(f"{path}: found name {document.get('name')!r}; expected {name!r}, after its place")
    meta = document.get("meta") or {}
    action = meta.get("action", "look at the table named by the suite; expectations/README.md explains how")
    planned = tuple(_planned(path, entry, action) for entry in document["expectations"])
    _require_unique(path, planned)
    return Suite(name, table, bool(meta.get("allow_empty", False)), planned)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SuiteError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("expectations"), list):
        raise SuiteError(f"{path}: expected an object with a list `expectations`, as Great Expectations writes it")
    return document


def _planned(path: Path, entry: Any, action: str) -> Planned:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise SuiteError(f"{path}: expected every expectation to be an object with a `type`; found {entry!r}")
    meta, kwargs = entry.get("meta") or {}, entry.get("kwargs") or {}
    severity = entry.get("severity", "critical")
    name = f"{entry['type']}:{meta['name']}" if "name" in meta else entry["type"]
    if severity not in SEVERITIES:
        raise SuiteError(f"{path}: {name}: found severity {severity!r}; expected one of {SEVERITIES}")
    if entry["type"] == SQL_EXPECTATION:
        _require_sql_rules(path, name, meta, kwargs)
    expected = entry.get("description") or f"{entry['type']} {json.dumps(kwargs, sort_keys=True)}"
    guidance = Guidance(expected, meta.get("action", action))
    return Planned(name, _column_name(kwargs, meta), severity, guidance, entry)


def _require_sql_rules(path: Path, name: str, meta: Mapping[str, Any], kwargs: Mapping[str, Any]) -> None:
    if "name" not in meta:
        raise SuiteError(f"{path}: {name}: a SQL expectation needs a short `meta.name`; found none")
    if "{batch}" not in str(kwargs.get("unexpected_rows_query", "")):
        raise SuiteError(f"{path}: {name}: expected an `unexpected_rows_query` that reads {{batch}}; found none")


def _require_unique(path: Path, planned: tuple[Planned, ...]) -> None:
    counts = Counter((p.expectation, p.column_name) for p in planned)
    twice = sorted(f"{name} ({column or 'no column'})" for (name, column), count in counts.items() if count > 1)
    if twice:
        raise SuiteError(f"{path}: found more than once: {', '.join(twice)}; give each its own `meta.name`")


def _column_name(kwargs: Mapping[str, Any], meta: Mapping[str, Any]) -> str | None:
    if "column_list" in kwargs:
        return ", ".join(kwargs["column_list"])
    pair = [kwargs[key] for key in ("column_A", "column_B") if key in kwargs]
    return ", ".join(pair) or kwargs.get("column") or meta.get("column")
