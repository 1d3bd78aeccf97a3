"""The dbt project as dbt understands it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dagster_project.transformation import run_dbt


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("dbt")
    run_dbt("parse", target, {}, options=["--warn-error"])
    return json.loads((target / "manifest.json").read_text())
