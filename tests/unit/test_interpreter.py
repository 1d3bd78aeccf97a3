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
    usual = sys.getswitchinterval()
    assert gc.isenabled()
    with pytest.raises(KeyError), beside_duckdb():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
        assert not gc.isenabled()
        raise KeyError
    assert (sys.getswitchinterval(), gc.isenabled()) == (usual, True)


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with beside_duckdb():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_one_thread_leaves_before_another_that_came_later():
    usual = sys.getswitchinterval()
    first, second = beside_duckdb(), beside_duckdb()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert (sys.getswitchinterval(), gc.isenabled()) == (usual, True)
