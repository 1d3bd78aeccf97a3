"""What the brute force says of a random company, and the comparison of all its tables at once."""

from __future__ import annotations

from bruteforce import Settings as BusinessFacts
from bruteforce import assert_tables_equal, compute
from inprocess import Tables
from random_companies import Example, as_company

from dagster_project.settings import BusinessSettings

SEGMENT_KEY = ["grain", "period_start", "segment_dimension", "segment_value"]
KEYS = {
    "fct_engagement_daily": ["date", "segment_dimension", "segment_value"],
    "kpi_cohorts": ["cohort_month", "months_since_start", "segment_dimension", "segment_value"],
    "kpi_values": ["metric_id", *SEGMENT_KEY],
    "fct_account_ltv": ["account_id"],
    "fct_account_periods": ["account_id", "grain", "period_start"],
    "dim_accounts": ["account_id"],
}
CATALOGUE = "dim_metrics"  # the seed, in which nothing is computed


def recomputed(example: Example, business: BusinessSettings) -> Tables:
    """Every table in plain Python. Raises MissingRate where an amount cannot be converted."""
    facts = BusinessFacts.from_vars(business.model_dump())
    return compute(as_company(example.lake, example.as_of), facts, example.as_of)


def assert_same_tables(expected: Tables, found: Tables) -> None:
    """Fails with the name of the first table that differs, and its first differing cells."""
    assert expected.keys() - {CATALOGUE} == found.keys() - {CATALOGUE}
    for name in (name for name in expected if name != CATALOGUE):
        try:
            assert_tables_equal(expected[name], found[name], KEYS.get(name, SEGMENT_KEY))
        except AssertionError as difference:
            raise AssertionError(f"{name}: {difference}") from None
