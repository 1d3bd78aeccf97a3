"""The candidate: what is told when one of the two things that are done side by side fails."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from dagster_project.publishing import candidate as module
from dagster_project.publishing.allow_list import PublishedTable
from dagster_project.publishing.candidate import ReleaseIdentity, build_candidate
from dagster_project.settings import ConfigurationError, Settings

NOW = dt.datetime(2024, 4, 1, 3)
IDENTITY = ReleaseIdentity("r1", NOW, NOW.date(), NOW.date(), None, "i", "c", "e", "s", None)
TABLES = [PublishedTable("kpi_mrr", ("month",), ("month", "mrr"))]


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(home=tmp_path)
    settings.warehouse.parent.mkdir()
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create table kpi_mrr as select 3 - i as month, 100 as mrr, 'x' as name from range(3) r(i)")
    return settings


def test_it_holds_the_allowed_columns_by_key_and_an_empty_table_of_restatements(settings):
    candidate = build_candidate(settings, TABLES, IDENTITY, [], [])
    with duckdb.connect(str(candidate.database), read_only=True) as connection:
        assert connection.execute("from kpi_mrr").fetchall() == [(1, 100), (2, 100), (3, 100)]
        assert connection.execute("from meta_restatements").fetchall() == []
        assert connection.execute("select release_id from meta_release").fetchall() == [("r1",)]
    assert [path.name for path in candidate.folder.iterdir()] == ["kpi.duckdb"]


def test_an_error_of_the_restatements_is_told_while_the_tables_are_written(settings, monkeypatch):
    def refused(*_):
        raise ConfigurationError("the release before cannot be read")

    monkeypatch.setattr(module, "find_restatements", refused)
    with pytest.raises(ConfigurationError, match="the release before cannot be read"):
        build_candidate(settings, TABLES, IDENTITY, [], [])
