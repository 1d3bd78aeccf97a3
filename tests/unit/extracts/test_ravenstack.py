"""The five delivered files of RavenStack through their contracts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_project.extracts.contract import load_contracts
from dagster_project.settings import SHIPPED_CONTRACTS

DATA = Path(__file__).parents[4] / "shared" / "data" / "ravenstack"
FILES = {
    "crm/accounts": "accounts",
    "crm/subscriptions": "subscriptions",
    "crm/support_tickets": "support_tickets",
    "crm/churn_events": "churn_events",
    "usage/events": "feature_usage",
}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the RavenStack files are not at {DATA}")
def test_every_delivered_row_is_accepted(company):
    shutil.rmtree(company.home / "landing")
    company.contracts = load_contracts(SHIPPED_CONTRACTS / "ravenstack")
    for extract, name in FILES.items():
        file = DATA / f"ravenstack_{name}.csv"
        company.deliver(extract, file.read_bytes(), day="2024-12-31", name=file.name)
    report = company.ingest()
    assert {f"{row.system}/{row.extract}": row.delivered_rows for row in report.deliveries} == {
        "crm/accounts": 500,
        "crm/churn_events": 600,
        "crm/subscriptions": 5000,
        "crm/support_tickets": 2000,
        "crm/survey_responses": 1175,
        "usage/events": 25000,
    }
    assert all(row.accepted_rows == row.delivered_rows for row in report.deliveries)
    assert report.refusals == []
    assert company.lake("crm/subscriptions", "count(*) filter (is_trial), sum(amount) filter (is_trial)") == [(778, 0)]
    assert company.lake("crm/survey_responses", "min(score), max(score), min(survey)") == [(3, 5, "csat")]
