"""The dbt project as dbt understands it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_project.transformation import run_dbt


@pytest.fixture(scope="session")
def manifest(made_once: Callable[[str, Callable[[Path], Any]], Path]) -> dict[str, Any]:
    target = made_once("parsed", lambda folder: run_dbt("parse", folder, {}, options=["--warn-error"]))
    return json.loads((target / "manifest.json").read_text())
