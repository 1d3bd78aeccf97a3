"""The layout of landing/: `<system>/<extract>/<YYYY-MM-DD>/<any name>.<ending>`. Lists deliveries, reads no data."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dagster_project.extracts.contract import Contract
from dagster_project.settings import ConfigurationError

MANIFEST = "_manifest.json"
ENDINGS = ("csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Delivery:
    """All files in one date folder, in order of their names; `strays` are files the contract's pattern leaves out."""

    extract: str
    extract_date: dt.date
    folder: Path
    files: tuple[Path, ...]
    strays: tuple[str, ...] = ()

    @property
    def manifest(self) -> Path | None:
        path = self.folder / MANIFEST
        return path if path.is_file() else None


def ending(path: Path) -> str | None:
    """The known ending of a file name, such as `csv.gz`, or None."""
    name = path.name.lower()
    return next((one for one in sorted(ENDINGS, key=len, reverse=True) if name.endswith("." + one)), None)


def find_deliveries(landing: Path, contracts: dict[str, Contract]) -> list[Delivery]:
    """Every delivery in landing, by extract and date.

    Raises ConfigurationError for anything that is not where a delivery may be.
    """
    folders = _extract_folders(landing, {contract.landing_name for contract in contracts.values()})
    deliveries = []
    for name, contract in sorted(contracts.items()):
        for day, folder in _dated(folders.get(contract.landing_name)):
            deliveries.append(_delivery(contract, name, day, folder))
    return deliveries


def _extract_folders(landing: Path, declared: set[str]) -> dict[str, Path]:
    folders = {}
    for system in _folders(landing, "<system>/<extract>/<YYYY-MM-DD>/<file>"):
        for extract in _folders(system, "<extract>/<YYYY-MM-DD>/<file>"):
            name = f"{system.name}/{extract.name}"
            if name not in declared:
                raise ConfigurationError(
                    f"{extract}: found the undeclared extract {name}; expected one of {', '.join(sorted(declared))}; "
                    "move the folder away or add a contract for it"
                )
            folders[name] = extract
    return folders


def _folders(folder: Path, layout: str) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")] if folder.is_dir() else []
    for path in found:
        if not path.is_dir():
            raise ConfigurationError(f"{path}: found a file; expected {layout} below {folder}; move it into its folder")
    return found


def _dated(folder: Path | None) -> list[tuple[dt.date, Path]]:
    return [] if folder is None else [(_day(path), path) for path in _folders(folder, "<YYYY-MM-DD>/<file>")]


def _day(path: Path) -> dt.date:
    try:
        if _DATE.fullmatch(path.name):
            return dt.date.fromisoformat(path.name)
    except ValueError:
        pass
    raise ConfigurationError(
        f"{path}: found the folder {path.name!r}; expected a date YYYY-MM-DD; name it by the day of the extract"
    )


def _delivery(contract: Contract, name: str, day: dt.date, folder: Path) -> Delivery:
    files, strays = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == MANIFEST:
            continue
        if not path.is_file() or ending(path) is None:
            raise ConfigurationError(f"{path}: {_why_unreadable(path)}; deliver a file ending in {', '.join(ENDINGS)}")
        if fnmatchcase(path.name, contract.file.pattern):
            files.append(path)
        else:
            strays.append(path.name)
    return Delivery(name, day, folder, tuple(files), tuple(strays))


def _why_unreadable(path: Path) -> str:
    if not path.is_file():
        return "found a folder; expected delivered files"
    return f"found a file of unknown ending {path.suffix!r}"
