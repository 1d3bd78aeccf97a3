"""Every cell of the published tables against the recomputation in plain Python, which shares no code with dbt."""

import shutil

import duckdb
import pytest
from bruteforce import Settings as BusinessFacts
from bruteforce import assert_tables_equal, compute, read_lake

from dagster_project.settings import Settings, load_business_settings
from dagster_project.transformation import build, require_success

SEGMENT_KEY = ["grain", "period_start", "segment_dimension", "segment_value"]
KEYS = {
    "kpi_mrr": SEGMENT_KEY,
    "kpi_churn": SEGMENT_KEY,
    "kpi_retention": SEGMENT_KEY,
    "kpi_nrr": SEGMENT_KEY,
    "kpi_expansion": SEGMENT_KEY,
    "kpi_ltv": SEGMENT_KEY,
    "kpi_engagement": SEGMENT_KEY,
    "kpi_satisfaction": SEGMENT_KEY,
    "kpi_support": SEGMENT_KEY,
    "fct_engagement_daily": ["date", "segment_dimension", "segment_value"],
    "kpi_onboarding": SEGMENT_KEY,
    "kpi_trials": SEGMENT_KEY,
    "kpi_cohorts": ["cohort_month", "months_since_start", "segment_dimension", "segment_value"],
    "kpi_values": ["metric_id", *SEGMENT_KEY],
    "fct_account_ltv": ["account_id"],
    "fct_account_periods": ["account_id", "grain", "period_start"],
    "dim_accounts": ["account_id"],
}

# RavenStack delivers neither onboarding steps nor invoices.
WITHOUT_INPUT = {("ravenstack", "kpi_onboarding")}

# What the settings may say about onboarding, in other words than the defaults.
ONBOARDING = {
    "all": "{steps: [kickoff, data_import, 'event:view_dashboard>=20'], require: all, within_days: 60}",
    "any": "{steps: [go_live, 'event:export_report>=5', 'event:invite_user'], require: any, within_days: 45}",
}


@pytest.fixture(scope="session")
def recomputed(request):
    """`recomputed(company)`: the tables of the brute force for a published company, computed once each."""
    known = {}

    def tables(company):
        if company.home not in known:
            ((as_of,),) = company.query("select as_of_date from meta_release")
            facts = BusinessFacts.from_vars(load_business_settings(company.settings).model_dump())
            known[company.home] = compute(read_lake(company.settings.lake, as_of), facts, as_of, only=list(KEYS))
        return known[company.home]

    return tables


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("name", ["sample_company", "ravenstack"])
def test_every_cell(name, table, request, recomputed):
    company = request.getfixturevalue(name)
    expected, found = recomputed(company)[table], company.rows(table)
    assert len(found) > 100 or (name, table) in WITHOUT_INPUT
    assert_tables_equal(expected, found, KEYS[table])


@pytest.mark.long
@pytest.mark.parametrize("require", ONBOARDING)
def test_every_cell_of_onboarding_as_a_company_configures_it(require, sample_company, tmp_path):
    given = tmp_path / "vars.yml"
    given.write_text(f"onboarding: {ONBOARDING[require]}\ngross_margin: 0.735\n")
    settings = Settings(home=tmp_path / "home", vars=given)
    shutil.copytree(sample_company.settings.lake, settings.lake)
    ((as_of,),) = sample_company.query("select as_of_date from meta_release")
    business = load_business_settings(settings)
    require_success(build(settings, business, as_of))
    facts = BusinessFacts.from_vars(business.model_dump())
    expected = compute(read_lake(settings.lake, as_of), facts, as_of, only=["kpi_onboarding", "fct_account_ltv"])
    assert any(row["onboarding_completion_rate"] not in (None, 0.0, 1.0) for row in expected["kpi_onboarding"])
    for table, rows in expected.items():
        assert_tables_equal(rows, _built(settings, table), KEYS[table])


def _built(settings: Settings, table: str) -> list[dict]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        found = connection.execute(f"select * from {table}")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
