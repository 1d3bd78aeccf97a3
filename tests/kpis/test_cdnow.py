"""Purchase cohorts and purchase-based LTV on 69,659 real purchases, against a recomputation with pandas.

A shop without subscriptions: the whole night runs, the revenue tables are empty, and kpi_ltv has its grid and its
lifetimes from purchases alone.
"""

from __future__ import annotations

import math

import pandas as pd
import pytest
from conftest import SHARED_DATA, Company

from dagster_project.settings import Settings

PURCHASES = SHARED_DATA / "cdnow" / "CDNOW_master.txt"
pytestmark = pytest.mark.long

AS_OF = "1998-06-30"
DUPLICATES = 255


@pytest.fixture(scope="module")
def delivered() -> pd.DataFrame:
    """The file as it is: account_id, issued_on, units, amount (text), and an invoice_id made of the whole line."""
    if not PURCHASES.is_file():
        pytest.skip(f"{PURCHASES} is absent: the CDNOW purchases are not part of the repository")
    names = ["account_id", "day", "units", "amount"]
    lines = pd.read_csv(PURCHASES, sep=r"\s+", header=None, names=names, dtype=str)
    lines["issued_on"] = pd.to_datetime(lines["day"], format="%Y%m%d")
    lines["invoice_id"] = lines[names].agg("-".join, axis=1)
    return lines


@pytest.fixture(scope="module")
def shop(delivered, tmp_path_factory) -> Company:
    """The shop as published; region is the parity of the customer number. Read it only."""
    company = Company(Settings(home=tmp_path_factory.mktemp("cdnow")))
    accounts = sorted(set(delivered["account_id"]))
    company.deliver("crm/accounts", AS_OF, [{"account_id": a, "region": region(a)} for a in accounts])
    free = {"subscription_id": "S1", "account_id": accounts[0], "amount": 0, "billing_interval": "one_off"}
    company.deliver("crm/subscriptions", AS_OF, [{**free, "start_date": "1997-01-01"}])  # a snapshot is never empty
    invoices = delivered.assign(issued_at=delivered["issued_on"].dt.strftime("%Y-%m-%d 12:00:00"), kind="one_off")
    columns = ["invoice_id", "account_id", "issued_at", "amount", "kind"]
    company.deliver("crm/invoices", AS_OF, invoices[columns].to_csv(index=False))
    company.night(AS_OF)
    return company


@pytest.fixture(scope="module")
def purchases(delivered) -> pd.DataFrame:
    """Without exact duplicates; `month` is a pandas period, `cents` the amount in whole hundredths."""
    kept = delivered.drop_duplicates("invoice_id")
    return kept.assign(
        month=kept["issued_on"].dt.to_period("M"),
        cents=(kept["amount"].astype(float) * 100).round().astype("int64"),
        region=kept["account_id"].map(region),
    )


def region(account: str) -> str:
    return "even" if int(account) % 2 == 0 else "odd"


def test_exact_duplicates_are_superseded(shop, delivered):
    assert delivered.duplicated().sum() == DUPLICATES
    found = shop.query(
        "select delivered_rows, accepted_rows, quarantined_rows, superseded_rows "
        "from meta_row_accounting where extract = 'invoices'"
    )
    assert found == [(69659, 69659 - DUPLICATES, 0, DUPLICATES)]


def test_purchase_cohorts_have_paid_what_they_paid(shop, purchases):
    first_month = purchases.groupby("account_id")["month"].min()
    expected = purchases.groupby(purchases["account_id"].map(first_month))["cents"].sum()
    paid = pd.DataFrame(
        shop.query("select account_id, cast(paid_total * 100 as bigint), tenure_months from fct_account_ltv"),
        columns=["account_id", "cents", "tenure_months"],
    )
    assert len(paid) == 23570
    assert paid["tenure_months"].isna().all()
    found = paid.groupby(paid["account_id"].map(first_month))["cents"].sum()
    assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize(("dimension", "value"), [("total", "all"), ("region", "even"), ("region", "odd")])
def test_ltv_inputs_of_every_month(shop, purchases, dimension, value):
    rows = shop.query(
        "select period_label, average_purchase_value, purchases_per_customer_month, average_lifetime_months, "
        "ltv_purchase, customers, ltv, ltv_status from kpi_ltv "
        "where grain = 'month' and segment_dimension = ? and segment_value = ? order by period_start",
        dimension,
        value,
    )
    assert [row[0] for row in rows] == [str(p) for p in pd.period_range("1997-01", "1998-06", freq="M")]
    bought = purchases if dimension == "total" else purchases[purchases[dimension] == value]
    for label, *found, customers, ltv, status in rows:
        assert as_floats(found) == pytest.approx(
            as_floats(ltv_inputs(bought, pd.Period(label))), rel=1e-12, nan_ok=True
        )
        assert (customers, ltv, status) == (0, None, "no_customers")


def as_floats(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def ltv_inputs(bought: pd.DataFrame, last: pd.Period) -> list[float | None]:
    """Average purchase value, purchases per customer and month, lifetime and LTV of the window ending with a month."""
    months = min((last - pd.Period("1997-01")).n + 1, 12)
    window = bought[(bought["month"] > last - months) & (bought["month"] <= last)]
    value = window["cents"].sum() / 100 / len(window)
    frequency = len(window) / window["account_id"].nunique() / months
    before = set(bought[(bought["month"] > last - 24) & (bought["month"] <= last - 12)]["account_id"])
    lost = before - set(window["account_id"])
    if not lost:
        return [value, frequency, None, None]
    lifetime = 12 / (len(lost) / len(before))
    return [value, frequency, lifetime, value * frequency * lifetime]


def test_the_lifetime_needs_purchasers_of_the_year_before(shop):
    found = shop.query(
        "select period_label from kpi_ltv where grain = 'month' and segment_dimension = 'total' "
        "and average_lifetime_months is not null order by period_start"
    )
    assert [label for (label,) in found] == [str(p) for p in pd.period_range("1998-01", "1998-06", freq="M")]


@pytest.mark.parametrize("table", ["kpi_mrr", "kpi_churn", "kpi_nrr", "kpi_expansion", "kpi_cohorts", "kpi_trials"])
def test_what_needs_subscriptions_is_empty(shop, table):
    assert shop.value(f"select count(*) from {table}") == 0
