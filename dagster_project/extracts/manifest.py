"""Delivery manifests: `_manifest.json`, {"files": [{"name", "rows", "sha256"}]}, verified against what arrived."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dagster_project.extracts.scan import DeliveryRefused


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    name: str
    rows: int = Field(ge=0)
    sha256: str


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    files: list[_File]


@dataclass(frozen=True)
class Declared:
    """What the sender says of one file: number of rows and SHA-256."""

    rows: int
    sha256: str


def read_manifest(path: Path) -> dict[str, Declared]:
    """Declared files by name. Raises DeliveryRefused for a manifest that is none."""
    try:
        manifest = _Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        raise DeliveryRefused(
            f'{path.name}: cannot be read; expected {{"files": [{{"name", "rows", "sha256"}}]}}: {error}'
        ) from None
    return {one.name: Declared(one.rows, one.sha256.lower()) for one in manifest.files}


def verify_files(declared: dict[str, Declared], hashes: dict[str, str]) -> None:
    """Raises DeliveryRefused unless exactly the declared files arrived, byte for byte. `hashes`: SHA-256 by name."""
    for name in sorted(declared.keys() - hashes.keys()):
        raise DeliveryRefused(f"{name}: the manifest declares it, but it did not arrive; deliver it")
    for name, found in sorted(hashes.items()):
        if name not in declared:
            raise DeliveryRefused(f"{name}: arrived, but the manifest does not declare it; deliver a complete manifest")
        if declared[name].sha256 != found:
            raise DeliveryRefused(
                f"{name}: found SHA-256 {found}, the manifest declares {declared[name].sha256}; deliver it again"
            )


def verify_rows(declared: dict[str, Declared], rows: dict[str, int]) -> None:
    """Raises DeliveryRefused unless every file has the declared number of rows."""
    for name, found in sorted(rows.items()):
        if declared[name].rows != found:
            raise DeliveryRefused(
                f"{name}: found {found:,} rows, the manifest declares {declared[name].rows:,}; deliver it again"
            )
