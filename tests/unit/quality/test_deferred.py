"""What Great Expectations imports and no suite uses is imported by whoever uses it."""

import subprocess
import sys

import pytest

from dagster_project.quality.deferred import deferred

MODULE = "wave"  # of the standard library, and of no use here


@pytest.fixture(autouse=True)
def not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)


def test_a_deferred_module_is_imported_when_something_of_it_is_used():
    with deferred(MODULE):
        import wave
    assert MODULE not in sys.modules
    assert wave.open.__module__ == MODULE
    assert sys.modules[MODULE].open is wave.open


def test_a_module_that_is_there_is_used():
    import wave as there

    with deferred(MODULE):
        import wave
    assert wave is there is sys.modules[MODULE]


def test_one_that_is_not_installed_is_missed_where_it_is_used():
    with deferred("not_installed"):
        import not_installed
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        not_installed.anything()


EXPECTATION_OF_A_DISTRIBUTION = """
import sys
from dagster_project.quality.audit import load_great_expectations
gx = load_great_expectations()
assert not {"altair", "scipy.stats"} & set(sys.modules)
import pandas
import great_expectations.expectations as gxe
source = gx.get_context(mode="ephemeral").data_sources.add_pandas("source")
batch = source.add_dataframe_asset("asset").add_batch_definition_whole_dataframe("all")
batch = batch.get_batch({"dataframe": pandas.DataFrame({"x": ["a", "b", "a", "b"]})})
halves = {"column": "x", "partition_object": {"values": ["a", "b"], "weights": [0.5, 0.5]}, "threshold": 0.1}
assert batch.validate(gxe.ExpectColumnKLDivergenceToBeLessThan(**halves)).success
assert "scipy.stats" in sys.modules
"""


def test_expectations_of_distributions_work_all_the_same():
    done = subprocess.run([sys.executable, "-c", EXPECTATION_OF_A_DISTRIBUTION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
