"""The list of mutants of `make mutation` fits the project, so that a rewritten model is anchored anew at once."""

from __future__ import annotations

import shutil

import pytest
from mutate import ENOUGH, UnusableList, load_mutants

from dagster_project.settings import DBT_PROJECT


def test_every_mutant_can_be_made_of_the_project():
    mutants = load_mutants()
    assert len(mutants) >= ENOUGH
    assert len({(m.file, m.find, m.replace) for m in mutants}) == len(mutants)
    assert all(m.why for m in mutants)


def test_a_text_that_occurs_no_longer_is_named(tmp_path):
    project = shutil.copytree(DBT_PROJECT / "models", tmp_path / "models").parent
    changed = project / "models/marts/kpi_retention.sql"
    changed.write_text(changed.read_text().replace("reactivated_customers", "returned_customers"))
    shutil.copytree(DBT_PROJECT / "macros", project / "macros")
    with pytest.raises(UnusableList) as refused:
        load_mutants(project)
    assert str(refused.value).splitlines()[1:] == [
        "models/marts/kpi_retention.sql: found 0 times, expected 1: ' - reactivated_customers'"
    ]
