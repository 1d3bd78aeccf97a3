"""Dagster wiring only: which asset runs which stage of the night, and what it shows about it."""
