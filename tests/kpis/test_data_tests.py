"""The data tests that no data breaks, tried on whole companies here, so that no night needs to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_project.transformation import NOT_NIGHTLY, prepared_manifest, run_dbt


@pytest.mark.parametrize("name", ["sample_company", "ravenstack"])
def test_what_the_models_promise_holds(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = request.getfixturevalue(name).settings
    variables = {"warehouse": shutil.copy(settings.warehouse, tmp_path), "lake": str(settings.lake)}
    manifest = prepared_manifest(settings)
    results = run_dbt("test", tmp_path / "dbt", variables, options=["--select", NOT_NIGHTLY], manifest=manifest)
    assert [f"{r.name}: {r.message}" for r in results if r.status != "pass"] == []
    assert {r.resource_type for r in results} == {"test"} and len(results) > 80
