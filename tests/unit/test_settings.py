"""Operator settings that cannot work are refused with their name before anything is read."""

import pytest

from dagster_project.settings import ConfigurationError, load_settings


def test_a_home_whose_path_would_pass_for_a_column_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("KEIZOKU_HOME", str(tmp_path / "region=north" / "data"))
    with pytest.raises(ConfigurationError, match=r"KEIZOKU_HOME: found .*region=north.* choose another"):
        load_settings()
    monkeypatch.setenv("KEIZOKU_HOME", str(tmp_path / "north"))
    assert load_settings().home == tmp_path / "north"
