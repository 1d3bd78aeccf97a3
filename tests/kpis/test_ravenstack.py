"""Published numbers of a company nobody here made, against the figures known of it."""

from decimal import Decimal

import pytest

CLOSING_MRR = {"2023-01": 4684, "2023-06": 242921, "2024-06": 3833405, "2024-11": 8460824, "2024-12": 10159608}
MONTH = "grain = 'month' and segment_dimension = 'total'"


@pytest.mark.parametrize(("label", "expected"), CLOSING_MRR.items())
def test_month_end_mrr(ravenstack, label, expected):
    found = ravenstack.value(f"select closing_mrr from kpi_mrr where {MONTH} and period_label = ?", label)
    assert found == Decimal(expected)


def test_customers(ravenstack):
    found = dict(ravenstack.query(f"select period_label, customers from kpi_mrr where {MONTH}"))
    assert (found["2024-11"], found["2024-12"]) == (474, 500)


def test_retention_of_the_last_month(ravenstack):
    ((nrr, nrr_12m, grr_12m),) = ravenstack.query(
        f"select nrr, nrr_12m, grr_12m from kpi_nrr where {MONTH} and period_label = '2024-12'"
    )
    assert (round(nrr, 5), round(nrr_12m, 5), round(grr_12m, 5)) == (1.14208, 2.92271, 0.99590)


def test_two_customers_churned_in_24_months(ravenstack):
    assert ravenstack.value(f"select sum(churned_customers) from kpi_churn where {MONTH}") == 2
    assert ravenstack.value(f"select count(*) from kpi_churn where {MONTH}") == 24


def test_every_delivered_row_is_accounted_for(ravenstack):
    found = {
        f"{system}/{extract}": rows
        for system, extract, *rows in ravenstack.query(
            "select system, extract, delivered_rows, accepted_rows, quarantined_rows, superseded_rows "
            "from meta_row_accounting"
        )
    }
    assert found == {
        "crm/accounts": [500, 500, 0, 0],
        "crm/churn_events": [600, 600, 0, 0],
        "crm/subscriptions": [5000, 5000, 0, 0],
        "crm/support_tickets": [2000, 2000, 0, 0],
        "crm/survey_responses": [1175, 1175, 0, 0],
        "usage/events": [25000, 25000, 0, 0],
    }


def test_churn_flags_that_contradict_mrr_are_surfaced(ravenstack):
    found = ravenstack.value(
        "select unexpected_count from meta_quality_results "
        "where suite = 'raw/crm/churn_events' and expectation like '%churned_account_is_not_paying' and not success"
    )
    assert found == 352
