"""Python beside DuckDB: what changes while it lasts, and that it goes back."""

import gc
import sys

import pytest

from dagster_project.interpreter import beside_duckdb


def test_threads_hand_over_at_once_and_garbage_waits():
    usual = sys.getswitchinterval(), gc.get_threshold()
    with pytest.raises(KeyError), beside_duckdb():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        assert gc.get_threshold()[0] > usual[1][0]
        raise KeyError
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual
