"""`keizoku explain`: what the accounts add makes the published figure, exactly, for every metric of the catalogue."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import isclose

import duckdb
import pytest
from click.testing import CliRunner
from conftest import Company

from dagster_project.cli import main
from dagster_project.report.explain import RANKED, Explanation, evaluated, explain
from dagster_project.settings import DBT_PROJECT, Settings

CATALOGUE = {
    row["metric_id"]: row
    for row in csv.DictReader((DBT_PROJECT / "seeds" / "metrics.csv").open(encoding="utf-8", newline=""))
}
# old enough that the days to onboard are over, for the total of a month and for a segment of the quarter around it
PLACES = {"total": ("month", "2025-06", None), "segment": ("quarter", "FY2025-Q1", "plan=Business")}
# the sample company has no onboarding steps configured; the small company below has
STEPS_NEEDED = {"days_to_onboard_median"}

ACCOUNTS = [
    {"account_id": f"A{n}", "account_name": f"Company {n}", "region": "east", "created_at": "2024-01-01 09:00:00"}
    for n in (1, 2, 3)
]
STEPS = [
    {"account_id": account, "step": "setup", "completed_at": f"2024-01-{day} 10:00:00"}
    for account, day in (("A1", "03"), ("A2", "10"), ("A3", "12"))
]
SUBSCRIPTIONS = [
    {"subscription_id": f"S{n}", "account_id": f"A{n}", "product": "crm", "plan": plan, "amount": amount,
     "currency": "JPY", "billing_interval": "month", "start_date": "2024-01-01", "end_date": end}
    for n, plan, amount, end in ((1, "basic", "100.01", ""), (2, "pro", "300", ""), (3, "pro", "200.5", "2024-03-15"))
]  # fmt: skip


def of_company(company: Company, metric: str, period: str, segment: str | None = None) -> Explanation:
    return explain(company.settings.published / "kpi.duckdb", company.settings.warehouse, metric, period, segment)


def in_kpi_values(company: Company, explanation: Explanation) -> dict[str, float | None]:
    figure = explanation.figure
    (row,) = company.query(
        "select value, numerator, denominator from kpi_values where metric_id = ? and grain = ? and period_start = ?"
        " and segment_dimension = ? and segment_value = ?",
        figure.metric_id, figure.grain, figure.period_start, figure.dimension, figure.segment_value,
    )  # fmt: skip
    return dict(zip(("value", "numerator", "denominator"), row, strict=True))


def in_mart(company: Company, explanation: Explanation, expression: str) -> Decimal | int:
    figure = explanation.figure
    return company.value(
        f"select {expression} from {CATALOGUE[figure.metric_id]['table_name']} where grain = ? and period_start = ?"
        " and segment_dimension = ? and segment_value = ?",
        figure.grain, figure.period_start, figure.dimension, figure.segment_value,
    )  # fmt: skip


def summed(explanation: Explanation) -> dict[str, Decimal | int]:
    """The parts, added up here from the rows that a reader sees."""
    return {part.name: sum(c.amounts[i] for c in explanation.contributions) for i, part in enumerate(explanation.parts)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("metric", CATALOGUE)
def test_contributions_sum_to_the_published_figure(sample_company: Company, metric: str, place: str) -> None:
    grain, period, segment = PLACES[place]
    explanation = of_company(sample_company, metric, period, segment)
    published, sums, row = in_kpi_values(sample_company, explanation), summed(explanation), CATALOGUE[metric]

    assert (explanation.figure.grain, explanation.figure.period_label) == (grain, period)
    if metric not in STEPS_NEEDED:
        assert any(sums.values()), "nothing to explain here: choose another period"
    if metric == "stickiness":
        daily = Fraction(sums["user_days"]) / explanation.constants["days_elapsed"]
        assert (float(daily), sums["active_users"]) == (published["numerator"], published["denominator"])
    elif row["numerator"]:
        assert sums["numerator"] == in_mart(sample_company, explanation, row["numerator"])
        assert sums["denominator"] == in_mart(sample_company, explanation, row["denominator"])
        assert float(sums["numerator"]) == published["numerator"]
        assert float(sums["denominator"]) == published["denominator"]
    elif explanation.formula == row["value_column"]:
        assert sums == {row["value_column"]: in_mart(sample_company, explanation, row["value_column"])}
        assert float(sums[row["value_column"]]) == published["value"]
    if published["value"] is not None and metric not in RANKED:
        assert isclose(evaluated(explanation.formula, {**sums, **explanation.constants}), published["value"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("metric", "mean", "microseconds"),
    [
        ("session_minutes_median", "session_minutes_average", 60e6),
        ("ticket_resolution_hours_median", "ticket_resolution_hours_mean", 3600e6),
        ("ticket_resolution_hours_p90", "ticket_resolution_hours_mean", 3600e6),
    ],
)
def test_ranked_durations_are_those_of_the_mean(
    sample_company: Company, metric: str, mean: str, microseconds: float, place: str
) -> None:
    explanation = of_company(sample_company, metric, *PLACES[place][1:])
    count, total = summed(explanation).values()
    assert isclose(total / count / microseconds, in_mart(sample_company, explanation, mean))


def test_first_responses_are_those_of_the_median(sample_company: Company) -> None:
    """In a month with a single first response its wait is the median."""
    month, median = sample_company.query(
        "select k.period_label, k.first_response_hours_median from kpi_support k"
        " where k.grain = 'month' and k.segment_dimension = 'total' and k.tickets_opened > 0"
        " and k.first_response_hours_median is not null order by k.tickets_opened, k.period_start limit 1"
    )[0]
    count, total = summed(of_company(sample_company, "first_response_hours_median", month)).values()
    assert count in (1, 2)
    assert isclose(total / count / 3600e6, median)


def test_every_account_of_a_segment_is_in_it(sample_company: Company) -> None:
    in_topic = of_company(sample_company, "csat_rate", "FY2024", "survey_topic=support")
    assert in_topic.contributions
    assert {c.segments["survey_topic"] for c in in_topic.contributions} == {("support",)}


def test_12_month_figures_use_the_segments_of_the_cohort(sample_company: Company) -> None:
    """Over some plan of the sample company the two differ, or this test could not tell."""

    def of(metric: str) -> dict[str, tuple[str, ...]]:
        return {c.account_id: c.segments["plan"] for c in of_company(sample_company, metric, "2025-06").contributions}

    then, now = of("nrr_12m"), of("nrr")
    assert [account for account in then.keys() & now.keys() if then[account] != now[account]]


def test_accounts_stand_once_and_the_largest_first(sample_company: Company) -> None:
    rows = of_company(sample_company, "ltv", "FY2025-Q1").contributions
    assert len({c.account_id for c in rows}) == len(rows) > 100
    assert [c.amounts[0] for c in rows] == sorted((c.amounts[0] for c in rows), reverse=True)


@pytest.mark.parametrize(
    ("formula", "expected"), [("a / b * 6", 9), ("a / zero", None), ("100 * zero / a", 0), ("a", 3)]
)
def test_formulas_go_from_left_to_right(formula: str, expected: int | None) -> None:
    assert evaluated(formula, {"a": Decimal("3.0"), "b": 2, "zero": 0}) == expected


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Company:
    folder = tmp_path_factory.mktemp("explain")
    (folder / "vars.yml").write_text("onboarding: {steps: [setup], require: all, within_days: 10}")
    company = Company(Settings(home=folder / "home", vars=folder / "vars.yml"))
    company.deliver("crm/accounts", "2024-03-31", ACCOUNTS)
    company.deliver("crm/onboarding_steps", "2024-03-31", STEPS)
    company.deliver("crm/subscriptions", "2024-03-31", SUBSCRIPTIONS)
    company.night()
    return company


@pytest.fixture
def changeable(small: Company, tmp_path) -> Iterator[Company]:
    """A copy of the small company, for a test that spoils its warehouse."""
    shutil.copytree(small.home, tmp_path / "home", symlinks=True)
    yield Company(Settings(home=tmp_path / "home"))


@pytest.fixture
def keizoku(monkeypatch):
    """`keizoku(company, *words)`: exit code, standard output and error output of `keizoku explain`."""

    def run(company: Company, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("KEIZOKU_HOME", str(company.home))
        outcome = CliRunner().invoke(main, ["explain", *words])
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome.exit_code, outcome.stdout, outcome.stderr

    return run


def test_the_table_shows_limited_rows_and_the_total_of_all(small, keizoku):
    code, shown, _ = keizoku(small, "customer_churn_rate", "2024-03-10", "--limit", "1")
    assert code == 0
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert [(line[0], *line[-2:]) for line in lines if line[0].startswith("A")] == [("A3", "1", "1")]
    assert ["total", "1", "3"] in lines
    assert "customer_churn_rate 2024-03: 0.333333" in shown
    assert "1 of 3 accounts" in shown


def test_csv_has_every_account_and_exact_amounts(small, keizoku):
    code, shown, _ = keizoku(small, "mrr", "2024-02", "--csv", "--segment", "plan=pro")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert code == 0
    assert [(r["account_id"], r["closing_mrr"], r["plan"]) for r in rows] == [
        ("A2", "300.0000", "pro"),
        ("A3", "200.5000", "pro"),
    ]
    assert "Company" not in shown


def test_csv_of_a_figure_without_accounts_still_has_its_columns(small, keizoku):
    code, shown, _ = keizoku(small, "quick_ratio", "2024-02", "--csv")
    assert (code, shown.count("\n")) == (0, 1)
    assert shown.startswith("account_id,") and shown.endswith(",numerator,denominator\n")


def test_onboarding_counts_the_accounts_that_met_the_steps_in_time(small):
    """Days 2 and 9 are in time, day 11 is not; the median is of those in time."""
    rate = of_company(small, "onboarding_completion_rate", "2024-01")
    assert (summed(rate), rate.value) == ({"numerator": 2, "denominator": 3}, 2 / 3)
    days = of_company(small, "days_to_onboard_median", "2024-01")
    assert [(c.account_id, c.amounts) for c in days.contributions] == [("A2", (1, 9)), ("A1", (1, 2))]
    assert days.figure.value == 5.5


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mmr", "2024-03"], ["'mmr'", "customer_churn_rate", "nrr_12m"]),
        (["mrr", "2023-12"], ["'2023-12'", "months 2024-01 to 2024-03", "years FY2023"]),
        (["mrr", "2024-02-30"], ["'2024-02-30'"]),
        (["nps", "2024-03"], ["kpi_satisfaction", "none yet"]),
        (["mrr", "2024-03", "--segment", "colour=red"], ["'colour=red'", "plan, product, region"]),
        (["mrr", "2024-03", "--segment", "plan"], ["DIMENSION=VALUE"]),
        (["mrr", "2024-03", "--segment", "plan=gold"], ["'gold'", "basic, pro"]),
    ],
)
def test_exit_2_names_what_exists(small, keizoku, words, named):
    code, shown, complaint = keizoku(small, *words)
    assert (code, shown) == (2, "")
    assert [name for name in named if name not in complaint] == []


def test_exit_2_without_a_release(company, keizoku):
    code, _, complaint = keizoku(company, "mrr", "2024-03")
    assert code == 2 and "found no release" in complaint


def test_exit_2_where_the_warehouse_holds_another_input(changeable, keizoku):
    mark = changeable.settings.warehouse.parent / "transformation.passed"
    mark.write_text(mark.read_text().replace("2024-03-31", "2024-04-30"))
    code, shown, complaint = keizoku(changeable, "mrr", "2024-03")
    assert (code, shown) == (2, "")
    assert "as of 2024-03-31; found 2024-04-30" in complaint and "`keizoku nightly`" in complaint
    mark.unlink()
    assert "found nothing complete" in keizoku(changeable, "mrr", "2024-03")[2]


def test_exit_2_where_the_contributions_do_not_make_the_figure(changeable, keizoku):
    with duckdb.connect(str(changeable.settings.warehouse)) as connection:
        connection.execute("update int_account_mrr set closing_mrr = closing_mrr + 0.0001 where account_id = 'A1'")
    code, shown, complaint = keizoku(changeable, "arpa", "2024-03")
    assert (code, shown) == (2, "")
    assert "closing_mrr 400.0101 against 400.0100 as published" in complaint
