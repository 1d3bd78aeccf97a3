"""Python beside DuckDB: what changes while it lasts, and that it goes back."""

import gc
import sys
import threading

import pytest

from dagster_project.interpreter import beside_duckdb
from dagster_project.nightly import PREPARING


@pytest.fixture(autouse=True)
def no_night_before():
    for thread in threading.enumerate():
        if thread.name == PREPARING:
            thread.join()


def test_threads_hand_over_at_once_and_garbage_waits():
    usual = sys.getswitchinterval(), gc.get_threshold()
    with pytest.raises(KeyError), beside_duckdb():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        assert gc.get_threshold()[0] > usual[1][0]
        raise KeyError
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual


def test_one_thread_leaves_before_another_that_came_later():
    usual = sys.getswitchinterval(), gc.get_threshold()
    first, second = beside_duckdb(), beside_duckdb()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] > usual[1][0]
    second.__exit__(None, None, None)
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual
