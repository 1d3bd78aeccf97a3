"""The worked examples of the KPI specification (section 7), each company a region of one build."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import yaml
from conftest import Company

from dagster_project.settings import Settings

AS_OF = "2025-12-31"


class Book:
    """Accounts, subscriptions and responses of several examples; the region of an account is its example."""

    def __init__(self):
        self.accounts, self.subscriptions, self.responses = [], [], []

    def account(self, example: str) -> str:
        account_id = f"{example}-{len(self.accounts):04}"
        self.accounts.append({"account_id": account_id, "region": example, "created_at": "2024-01-01 00:00:00"})
        return account_id

    def item(self, account_id: str, amount, start: str, end: str = "", **columns) -> None:
        given = {"product": "core", "plan": "Basic", "quantity": 1, "currency": "", "billing_interval": "month",
                 "billing_interval_count": 1, "is_trial": "false"}  # fmt: skip
        self.subscriptions.append(
            {"subscription_id": f"S{len(self.subscriptions):05}", "account_id": account_id, "amount": amount,
             "start_date": start, "end_date": end, **given, **columns}
        )  # fmt: skip

    def answers(self, example: str, survey: str, counts: dict[int, int]) -> None:
        """Responses in February 2025: so many of each score, every one of another contact."""
        account_id = self.account(example)
        for score in (score for score, count in counts.items() for _ in range(count)):
            number = f"{len(self.responses):04}"
            self.responses.append(
                {"response_id": f"R{number}", "account_id": account_id, "contact_id": f"C{number}", "survey": survey,
                 "score": score, "responded_at": "2025-02-10 12:00:00"}
            )  # fmt: skip

    def steps(self, example: str, *amounts) -> None:
        """An account that pays these amounts in the months from 2025-01 on; 0 is a month without a subscription."""
        account_id = self.account(example)
        starts = [dt.date(2025, m + 1, 1) for m in range(len(amounts))] + [dt.date(2025, len(amounts) + 1, 1)]
        for amount, start, end in zip(amounts, starts, starts[1:], strict=False):
            if amount:
                self.item(account_id, amount, str(start), str(end))


def book() -> Book:
    b = Book()
    for _ in range(100):
        b.item(b.account("1"), 100, "2025-01-01")
    for _ in range(50):
        b.item(b.account("1"), 600, "2025-01-01", billing_interval="year")
    b.item(b.account("1 discount"), "108", "2025-01-01", billing_interval="year")  # 120 less 10 %
    b.item(b.account("1 two years"), 2400, "2025-01-01", billing_interval="year", billing_interval_count=2)
    b.item(b.account("1 quarter"), 300, "2025-01-01", billing_interval="quarter")
    b.item(b.account("1 fortnight"), 50, "2025-01-01", billing_interval="week", billing_interval_count=2)
    for before, after in [(10, 0), (30, 20), (60, 70)]:
        b.steps("2", before, after)
    for before, after in [(10, 0), (70, 50), (120, 170), (0, 50)]:
        b.steps("3", before, after)
    gold = b.account("4")
    b.item(gold, 2000, "2025-01-10", "2025-06-10", plan="Gold", quantity=4, billing_interval="year")
    b.item(gold, 60, "2025-03-05", "2025-05-05", plan="Silver")
    b.item(gold, 60, "2025-09-05", plan="Silver")
    b.item(b.account("5"), 100, "2025-01-01")
    b.item(b.account("5"), 100, "2025-01-01", "2025-03-01")
    both = b.account("6")
    for product, before, after in [("A", 24, 12), ("B", 12, 24)]:
        b.item(both, before, "2025-01-01", "2025-02-15", product=product)
        b.item(both, after, "2025-02-15", product=product)
    for start in range(20):  # 20 customers of 100 at every month's opening, one of them leaves, one comes
        b.item(b.account("7"), 100, "2024-12-01", f"2025-{start + 1:02}-15" if start < 12 else "")
    for month in range(12):
        b.item(b.account("7"), 100, f"2025-{month + 1:02}-20")
    b.answers("8 counts", "nps", {10: 120, 9: 80, 8: 60, 7: 40, 6: 50, 0: 50})
    b.answers("8 shares", "nps", {9: 40, 7: 35, 6: 25})
    b.answers("9", "csat", {5: 42, 4: 32, 3: 10, 2: 9, 1: 14})
    for number in range(800):
        b.item(b.account("10a"), 10, "2025-01-01", "2025-02-10" if number < 24 else "")
    for number in range(900):
        b.item(b.account("10b"), 10, "2025-01-01", "2025-02-10" if number < 50 else "")
    for _ in range(150):
        b.item(b.account("10b"), 10, "2025-02-03")
    b.steps("11", 100, 0, 0, 0, 100, 150, 0)
    b.item(b.account("12"), 100, "2024-05-17")
    return b


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Company:
    company, b = Company(Settings(home=tmp_path_factory.mktemp("examples"))), book()
    company.deliver("crm/accounts", AS_OF, b.accounts)
    company.deliver("crm/subscriptions", AS_OF, b.subscriptions)
    company.deliver("crm/survey_responses", AS_OF, b.responses)
    company.night()
    return company


def month(company: Company, table: str, example: str, label: str) -> dict:
    segment = f"segment_dimension = 'region' and segment_value = '{example}'"
    (row,) = company.rows(table, f"grain = 'month' and {segment} and period_label = '{label}'")
    return row


@pytest.mark.parametrize(
    ("example", "mrr"),
    [("1", 12500), ("1 discount", 9), ("1 two years", 100), ("1 quarter", 100), ("1 fortnight", "108.3333")],
)
def test_1_billing_intervals(examples, example, mrr):
    assert month(examples, "kpi_mrr", example, "2025-01")["closing_mrr"] == Decimal(mrr)


def test_2_gross_and_net_churn(examples):
    churn, nrr = (month(examples, table, "2", "2025-02") for table in ("kpi_churn", "kpi_nrr"))
    assert churn["opening_mrr"] == 100
    assert (churn["churned_mrr"], churn["contraction_mrr"], churn["expansion_mrr"]) == (10, 10, 10)
    assert (churn["gross_revenue_churn_rate"], churn["net_revenue_churn_rate"]) == (0.2, 0.1)
    assert (nrr["grr"], nrr["nrr"]) == (0.8, 0.9)


def test_3_new_business_never_enters_nrr(examples):
    nrr, mrr = (month(examples, table, "3", "2025-02") for table in ("kpi_nrr", "kpi_mrr"))
    assert (mrr["opening_mrr"], mrr["new_mrr"], mrr["expansion_mrr"]) == (200, 50, 50)
    assert (mrr["contraction_mrr"], mrr["churned_mrr"]) == (20, 10)
    assert (nrr["nrr"], nrr["grr"]) == (1.1, 0.85)


def test_4_the_life_of_one_account(examples):
    found = examples.query(
        "select period_start, movement, movement_mrr from fct_account_periods "
        "where region = '4' and grain = 'month' and movement is not null order by 1"
    )
    assert [(str(start)[:7], movement, amount) for start, movement, amount in found] == [
        ("2025-01", "new", Decimal("166.6667")),
        ("2025-03", "expansion", Decimal(60)),
        ("2025-05", "contraction", Decimal(-60)),
        ("2025-06", "churn", Decimal("-166.6667")),
        ("2025-09", "reactivation", Decimal(60)),
    ]


def test_5_a_cancellation_counts_when_it_takes_effect(examples):
    labels = ("2025-01", "2025-02", "2025-03")
    assert [month(examples, "kpi_mrr", "5", label)["closing_mrr"] for label in labels] == [200, 200, 100]
    assert [month(examples, "kpi_churn", "5", label)["churned_customers"] for label in labels] == [0, 0, 1]
    assert month(examples, "kpi_churn", "5", "2025-03")["customer_churn_rate"] == 0.5


def test_6_an_upsell_that_another_product_takes_back(examples):
    mrr, expansion = (month(examples, table, "6", "2025-02") for table in ("kpi_mrr", "kpi_expansion"))
    assert (mrr["opening_mrr"], mrr["closing_mrr"], mrr["expansion_mrr"], mrr["contraction_mrr"]) == (36, 36, 0, 0)
    assert (expansion["upsold_customers"], expansion["upsell_rate"], expansion["upsell_mrr"]) == (1, 1, 12)
    assert (expansion["cross_sold_customers"], expansion["cross_sell_mrr"]) == (0, 0)


def test_7_ltv(examples, tmp_path):
    ltv = month(examples, "kpi_ltv", "7", "2025-12")
    assert (ltv["arpa"], ltv["churn_rate_12m"], ltv["ltv_status"]) == (100, 0.05, "ok")
    assert (ltv["average_lifetime_months"], ltv["ltv"]) == (20, 2000)

    (tmp_path / "vars.yml").write_text(yaml.safe_dump({"gross_margin": 0.8}))
    settings = Settings(home=tmp_path / "home", vars=tmp_path / "vars.yml")
    settings.home.mkdir()
    settings.landing.symlink_to(examples.settings.landing)
    with_margin = Company(settings)
    with_margin.night()
    assert month(with_margin, "kpi_ltv", "7", "2025-12")["ltv"] == pytest.approx(1600, rel=1e-12)


def test_8_nps(examples):
    counts, shares = (month(examples, "kpi_satisfaction", f"8 {of}", "2025-02") for of in ("counts", "shares"))
    assert (counts["promoters"], counts["passives"], counts["detractors"]) == (200, 100, 100)
    assert (counts["nps"], shares["nps"]) == (25, 15)


def test_9_csat(examples):
    csat = month(examples, "kpi_satisfaction", "9", "2025-02")
    assert (csat["csat_satisfied"], csat["csat_responses"]) == (74, 107)
    assert round(100 * csat["csat_rate"], 2) == 69.16


def test_10_churn_and_retention_rates(examples):
    churn, kept = month(examples, "kpi_churn", "10a", "2025-02"), month(examples, "kpi_retention", "10b", "2025-02")
    assert (churn["opening_customers"], churn["churned_customers"], churn["customer_churn_rate"]) == (800, 24, 0.03)
    assert (kept["opening_customers"], kept["closing_customers"], kept["new_customers"]) == (900, 1000, 150)
    assert round(100 * kept["customer_retention_rate"], 2) == 94.44


def test_11_seven_months_of_one_account(examples):
    found = dict(
        examples.query(
            "select strftime(period_start, '%Y-%m'), movement from fct_account_periods "
            "where region = '11' and grain = 'month'"
        )
    )
    labels = [f"2025-{m:02}" for m in range(1, 8)]
    expected = ["new", "churn", None, None, "reactivation", "expansion", "churn"]
    assert [found.get(label) for label in labels] == expected


def test_12_an_open_ended_subscription_is_in_every_month_to_the_as_of_date(examples):
    found = examples.query(
        "select strftime(period_start, '%Y-%m'), closing_mrr from fct_account_periods "
        "where region = '12' and grain = 'month' order by 1"
    )
    labels = [f"{2024 + m // 12}-{m % 12 + 1:02}" for m in range(4, 24)]
    assert found == [(label, Decimal(100)) for label in labels]
