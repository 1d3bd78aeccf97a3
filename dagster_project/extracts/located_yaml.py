"""YAML files whose every key keeps its line number, so that an error can say where it is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dagster_project.settings import ConfigurationError


class LocatedYaml:
    """One YAML file: its content as plain dicts and lists, and the line of any key or item in it.

    Raises ConfigurationError (`file:line: reason`) for a file that is no YAML mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = _parsed(path)

    @property
    def content(self) -> dict[str, Any]:
        return _plain(self._root)

    def line(self, location: tuple[str | int, ...]) -> int:
        """Line (from 1) of the deepest part of `location` that the file has."""
        node, line = self._root, self._root.lc.line
        for part in location:
            if isinstance(node, CommentedMap) and part in node:
                line = node.lc.key(part)[0]
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                line = node.lc.item(part)[0]
            else:
                break
            node = node[part]
        return line + 1

    def error(self, location: tuple[str | int, ...], reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}:{self.line(location)}: {reason}")


def _parsed(path: Path) -> CommentedMap:
    try:
        root = _loaded(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigurationError(f"{path}:{line}: no valid YAML: {error.problem or error.context}") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigurationError(f"{path}:1: cannot be read as YAML: {error}") from None
    if not isinstance(root, CommentedMap):
        raise ConfigurationError(f"{path}:1: expected a mapping of keys, found {type(root).__name__}")
    return root


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:
    """Many ask for the same contracts, and telling lines takes long; nobody changes what is returned."""
    return YAML(typ="rt").load(text)


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, str):
        return str(node)
    return node
