"""Which tables and columns may be published: the dbt models under `marts/`, as their YAML declares them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dagster_project.settings import ConfigurationError

PUBLISHABLE_CLASSES = ("none", "business")


@dataclass(frozen=True)
class PublishedTable:
    """A table of the release: its key columns (the order of its rows) and all columns in order."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]


def published_tables(manifest: Path) -> list[PublishedTable]:
    """The marts of a dbt manifest, by name.

    Raises ConfigurationError for a mart without a `unique_key` test, and for a column that is classed personal or
    not classed at all: it would otherwise reach people it is not meant for.
    """
    parsed = json.loads(manifest.read_text())
    nodes = parsed["nodes"].values()
    keys = {
        node["attached_node"]: tuple(node["test_metadata"]["kwargs"]["columns"])
        for node in nodes
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("name") == "unique_key"
    }
    marts = [n for n in nodes if n["resource_type"] == "model" and n["fqn"][1] == "marts"]
    return [_table(node, keys) for node in sorted(marts, key=lambda n: n["name"])]


def _table(node: dict, keys: dict[str, tuple[str, ...]]) -> PublishedTable:
    where = f"dbt/{node['patch_path'].split('://')[-1]}" if node.get("patch_path") else node["name"]
    if node["unique_id"] not in keys:
        raise ConfigurationError(
            f"{where}: expected a unique_key test that names the key of {node['name']}; found none"
        )
    for name, column in node["columns"].items():
        found = column.get("config", {}).get("meta", {}).get("pii")
        if found not in PUBLISHABLE_CLASSES:
            raise ConfigurationError(
                f"{where}: column {name}: found pii class {found!r}, expected one of {PUBLISHABLE_CLASSES}; "
                "class it under config.meta.pii, or leave it out of the mart"
            )
    return PublishedTable(node["name"], keys[node["unique_id"]], tuple(node["columns"]))
