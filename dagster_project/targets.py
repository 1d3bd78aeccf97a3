"""KPI targets: the seed of the repository, or the CSV that KEIZOKU_TARGETS names instead.

Belongs here: reading and validating that file. What a target does to a figure is the business of kpi_scorecard.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path

from dagster_project.settings import DBT_PROJECT, SEGMENT_DIMENSIONS, ConfigurationError, Settings

DEFAULT_TARGETS = DBT_PROJECT / "seeds" / "kpi_targets.csv"
CATALOGUE = DBT_PROJECT / "seeds" / "metrics.csv"
GRAINS = ("month", "quarter", "year")
DIMENSIONS = ("total", *SEGMENT_DIMENSIONS, "survey_topic")


@dataclass(frozen=True)
class Target:
    """One target, in force from `valid_from` until a newer one for the same metric, grain and segment."""

    metric_id: str
    grain: str
    segment_dimension: str
    segment_value: str
    valid_from: date
    target: float
    warning_threshold: float | None
    owner: str | None
    reviewed_on: date | None

    @property
    def key(self) -> tuple:
        return (self.metric_id, self.grain, self.segment_dimension, self.segment_value, self.valid_from)


COLUMNS = tuple(field.name for field in fields(Target))
REQUIRED = ("metric_id", "grain", "valid_from", "target")
DEFAULTS = {"segment_dimension": "total", "segment_value": "all"}


class _Refused(Exception):
    """Why a row is no target; the caller adds file and row."""


def load_targets(settings: Settings) -> list[Target]:
    """The targets in use, in the order of their file.

    A column of COLUMNS that is not in REQUIRED may be absent or empty: the segment is then the total. Raises
    ConfigurationError naming the file, the row and the reason: an unreadable file, an unknown or missing column, a
    value of the wrong type, an unknown metric, a threshold on the wrong side of its target, a target given twice.
    """
    path = settings.targets or DEFAULT_TARGETS
    directions = _directions()
    targets: list[Target] = []
    first_row: dict[tuple, int] = {}
    for number, row in _rows(path):
        try:
            target = _target(row, directions)
            if target.key in first_row:
                raise _Refused(f"the same metric, grain, segment and valid_from as row {first_row[target.key]}")
        except _Refused as refused:
            raise ConfigurationError(f"{_named(settings, path)}: row {number}: {refused}") from None
        first_row[target.key] = number
        targets.append(target)
    return targets


def write_targets(targets: list[Target], path: Path) -> Path:
    """Writes the targets as the transformation reads them: UTF-8, a header, all of COLUMNS, empty for None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(target) for target in targets)
    return path


def _named(settings: Settings, path: Path) -> str:
    return f"KEIZOKU_TARGETS={path}" if settings.targets else str(path)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows with their numbers, the header being row 1. Raises ConfigurationError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            lines = [(number, values) for number, values in enumerate(reader, start=2) if values]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"KEIZOKU_TARGETS={path}: cannot be read as UTF-8 CSV: {error}") from None
    _check_header(path, header)
    for number, values in lines:
        if len(values) != len(header):
            raise ConfigurationError(f"{path}: row {number}: found {len(values)} values, expected {len(header)}")
    return [(number, dict(zip(header, values, strict=True))) for number, values in lines]


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in header]
    repeated = sorted({name for name in header if header.count(name) > 1})
    for problem, names in (("unknown", unknown), ("missing", missing), ("repeated", repeated)):
        if names:
            raise ConfigurationError(
                f"{path}: row 1: {problem} column {', '.join(names)}; found {', '.join(header) or 'no header'}, "
                f"expected {', '.join(COLUMNS)}"
            )


def _target(row: Mapping[str, str], directions: Mapping[str, str]) -> Target:
    text = {name: row.get(name, "").strip() or DEFAULTS.get(name) for name in COLUMNS}
    for name in REQUIRED:
        if text[name] is None:
            raise _Refused(f"{name}: found nothing, expected a value")
    _check_choice("metric_id", text["metric_id"], directions)
    _check_choice("grain", text["grain"], GRAINS)
    _check_choice("segment_dimension", text["segment_dimension"], DIMENSIONS)
    if (text["segment_dimension"] == "total") != (text["segment_value"] == "all"):
        raise _Refused(f"segment_value: found {text['segment_value']!r}; 'all' belongs to 'total', and only to it")
    values = {
        **text,
        "target": _number("target", text["target"]),
        "warning_threshold": _number("warning_threshold", text["warning_threshold"]),
        "valid_from": _date("valid_from", text["valid_from"]),
        "reviewed_on": _date("reviewed_on", text["reviewed_on"]),
    }
    _check_threshold(values["target"], values["warning_threshold"], directions[text["metric_id"]])
    return Target(**values)


def _check_choice(name: str, found: str, choices) -> None:
    if found not in choices:
        raise _Refused(f"{name}: found {found!r}, expected one of {', '.join(choices)}")


def _check_threshold(target: float, threshold: float | None, direction: str) -> None:
    if direction not in ("up", "down"):
        raise _Refused("metric_id: this metric is neither better when higher nor when lower, so it takes no target")
    if threshold is None or threshold == target or (threshold < target) == (direction == "up"):
        return
    side = "at or below" if direction == "up" else "at or above"
    raise _Refused(f"warning_threshold: found {threshold:g}, expected it {side} the target {target:g}")


def _parsed(name: str, text: str | None, parse: Callable, expected: str):
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        raise _Refused(f"{name}: found {text!r}, expected {expected}") from None


def _number(name: str, text: str | None) -> float | None:
    found = _parsed(name, text, float, "a number such as 0.02")
    if found is not None and not math.isfinite(found):
        raise _Refused(f"{name}: found {text!r}, expected a finite number")
    return found


def _date(name: str, text: str | None) -> date | None:
    return _parsed(name, text, date.fromisoformat, "a date such as 2025-04-01")


def _directions() -> dict[str, str]:
    """Every metric of the catalogue and whether up or down is better."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        return {row["metric_id"]: row["direction"] for row in csv.DictReader(file)}
