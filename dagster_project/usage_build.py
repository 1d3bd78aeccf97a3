"""What the last complete build was built from, and which days of usage and which snapshots the next one reads anew.

A day is computed anew where a delivery that holds events of it came, went or changed since the last complete build, or
where it lies between the two as-of dates. Every day is, where there is no such build, or other models or settings made
it. Knows neither dbt nor how deliveries are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.files import write_whole


@dataclass(frozen=True)
class UsageDelivery:
    """An accepted delivery of usage/events: a fingerprint of its content, and its events by local date."""

    extract_date: date
    fingerprint: str
    events: Mapping[date, int]


@dataclass(frozen=True)
class UsageBuild:
    """What a complete build was made from; `made_by` names the models and settings, `inputs` all that they read."""

    made_by: str
    inputs: str
    as_of: date
    deliveries: tuple[UsageDelivery, ...]
    snapshots: Mapping[str, Mapping[date, str]]  # of each snapshot extract: fingerprints by extract date

    def write(self, path: Path) -> None:
        deliveries = [
            [d.extract_date.isoformat(), d.fingerprint, {day.isoformat(): n for day, n in d.events.items()}]
            for d in self.deliveries
        ]
        snapshots = {
            name: {day.isoformat(): fingerprint for day, fingerprint in found.items()}
            for name, found in self.snapshots.items()
        }
        write_whole(path, json.dumps([self.made_by, self.inputs, self.as_of.isoformat(), deliveries, snapshots]))


def read_build(path: Path) -> UsageBuild | None:
    """The last complete build, or None where there is none that could be told."""
    try:
        made_by, inputs, as_of, deliveries, snapshots = json.loads(path.read_text())
        return UsageBuild(
            made_by,
            inputs,
            date.fromisoformat(as_of),
            tuple(
                UsageDelivery(date.fromisoformat(key), fingerprint, {date.fromisoformat(d): n for d, n in days.items()})
                for key, fingerprint, days in deliveries
            ),
            {name: {date.fromisoformat(day): one for day, one in found.items()} for name, found in snapshots.items()},
        )
    except (OSError, ValueError, TypeError):
        return None


def read_until(before: UsageBuild, now: UsageBuild) -> dict[str, date]:
    """Of each snapshot extract, the last delivery that was read, where all up to it are as they were."""
    until = {}
    for name, known in before.snapshots.items():
        last = max(known, default=None)
        if last and {day: one for day, one in now.snapshots.get(name, {}).items() if day <= last} == dict(known):
            until[name] = last
    return until


def changed_days(before: UsageBuild, now: UsageBuild) -> set[date]:
    """Local dates whose events may differ between two builds made alike."""
    old, new = ({d.extract_date: d for d in build.deliveries} for build in (before, now))
    changed = {day for day in old.keys() | new.keys() if old.get(day) != new.get(day)}
    days = {day for build in (old, new) for key in changed & build.keys() for day in build[key].events}
    first, last = sorted((before.as_of, now.as_of))
    return days | {day for d in now.deliveries for day in d.events if first < day <= last}


def write_index(path: Path, build: UsageBuild, changed: Iterable[date] | None) -> None:
    """Parquet with a row per delivery and local date: extract_date, event_date, events, is_changed.

    `changed` None means every day. A changed day that no delivery holds any more has a row without extract_date.
    """
    held = {day for d in build.deliveries for day in d.events}
    days = held if changed is None else set(changed)
    found = [(d.extract_date.isoformat(), day, n) for d in build.deliveries for day, n in d.events.items()]
    found += [(None, day, 0) for day in days - held]
    rows = [
        {"extract_date": key, "event_date": day.isoformat(), "events": n, "is_changed": day in days}
        for key, day, n in found
    ]
    structure = [{"extract_date": "DATE", "event_date": "DATE", "events": "BIGINT", "is_changed": "BOOLEAN"}]
    with duckdb.connect() as connection:
        connection.execute(
            f"""copy (select unnest(from_json(cast(? as json), ?), recursive := true))
                to '{str(path).replace("'", "''")}' (format parquet)""",
            [json.dumps(rows), json.dumps(structure)],
        )
