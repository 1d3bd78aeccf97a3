"""The nightly job against bare DuckDB: the same files, one run, one machine.

`PYTHONPATH=tests python -m benchmarks --help`. Generator and reference are those of ../shared/bench, as they are.
"""
