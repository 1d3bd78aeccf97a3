"""The worked examples of KPI_SPEC section 7, and the rules other tests lean on, applied to the brute force itself."""

from __future__ import annotations

import csv
import datetime as dt
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kpis"))

from bruteforce import Company, MissingRate, Settings, assert_tables_equal, compute, default_as_of, read_lake

D = dt.date
RAVENSTACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "ravenstack"


def item(account, amount, start, end=None, *, interval="month", count=1, **more):
    row = {
        "subscription_id": f"S-{account}", "account_id": account, "product": "core", "plan": "basic", "quantity": 1,
        "amount": Decimal(str(amount)), "currency": None, "billing_interval": interval,
        "billing_interval_count": count, "start_date": D.fromisoformat(start),
        "end_date": D.fromisoformat(end) if end else None, "is_trial": False,
    }  # fmt: skip
    return {**row, **more}


def account(account_id, **more):
    blank = dict.fromkeys(("account_name", "industry", "region", "company_size", "owner", "created_at"))
    return {"account_id": account_id, **blank, "is_test": False, "community_touch": None, **more}


def moment(text):
    return dt.datetime.fromisoformat(text)


def tables_of(subscriptions=(), as_of="2024-12-31", settings=None, **extracts):
    company = Company(subscriptions=list(subscriptions), **extracts)
    return compute(company, settings or Settings(), D.fromisoformat(as_of))


def row_of(table, label, segment=("total", "all")):
    """The row of the period with this label and segment."""
    found = [r for r in table if r["period_label"] == label and (r["segment_dimension"], r["segment_value"]) == segment]
    assert len(found) == 1, f"{label} {segment}: {len(found)} rows"
    return found[0]


def series(table, column, labels):
    return [row_of(table, label)[column] for label in labels]


def months(year, last, first=1):
    return [f"{year}-{month:02d}" for month in range(first, last + 1)]


# --- the worked examples -------------------------------------------------------------------------------------------


def test_example_1_monthly_amounts():
    many = [item(f"m{n}", 100, "2024-01-01") for n in range(100)]
    many += [item(f"y{n}", 600, "2024-01-01", interval="year") for n in range(50)]
    assert row_of(tables_of(many, "2024-01-31")["kpi_mrr"], "2024-01")["closing_mrr"] == 12_500
    amounts = [(120 * 0.9, "year", 1, "9"), (2400, "year", 2, "100"), (300, "quarter", 1, "100"),
               (50, "week", 2, "108.3333"), (10, "day", 1, "304.1667"), (600, "half_year", 1, "100")]  # fmt: skip
    for amount, interval, count, monthly in amounts:
        mrr = tables_of([item("a", amount, "2024-01-01", interval=interval, count=count)], "2024-01-31")["kpi_mrr"]
        assert row_of(mrr, "2024-01")["closing_mrr"] == Decimal(monthly), (interval, count)


def test_example_2_churn_and_retention_of_revenue():
    rows = [
        item("stays", 60, "2024-01-01"),
        item("leaves", 10, "2024-01-01", "2024-02-10"),
        item("shrinks", 20, "2024-01-01", "2024-02-10"), item("shrinks", 10, "2024-02-10"),
        item("grows", 10, "2024-01-01", "2024-02-10"), item("grows", 20, "2024-02-10"),
    ]  # fmt: skip
    tables = tables_of(rows, "2024-02-29")
    churn, nrr = row_of(tables["kpi_churn"], "2024-02"), row_of(tables["kpi_nrr"], "2024-02")
    assert (churn["gross_revenue_churn_rate"], churn["net_revenue_churn_rate"]) == (0.2, 0.1)
    assert (nrr["grr"], nrr["nrr"]) == (0.8, 0.9)


def test_example_3_new_business_never_enters_nrr():
    rows = [
        item("stays", 120, "2024-01-01"),
        item("leaves", 10, "2024-01-01", "2024-02-10"),
        item("shrinks", 30, "2024-01-01", "2024-02-10"), item("shrinks", 10, "2024-02-10"),
        item("grows", 40, "2024-01-01", "2024-02-10"), item("grows", 90, "2024-02-10"),
        item("joins", 50, "2024-02-10"),
    ]  # fmt: skip
    tables = tables_of(rows, "2024-02-29")
    nrr = row_of(tables["kpi_nrr"], "2024-02")
    assert (nrr["opening_mrr"], nrr["nrr"], nrr["grr"]) == (200, 1.1, 0.85)
    assert row_of(tables["kpi_mrr"], "2024-02")["new_mrr"] == 50


def test_example_4_gold_and_silver():
    rows = [
        item("a", 2000, "2024-01-01", "2024-04-15", interval="year", plan="Gold", quantity=4),
        item("a", 60, "2024-02-10", "2024-03-10", plan="Silver"),
        item("a", 2000, "2024-06-01", interval="year", plan="Gold"),
    ]
    mrr = tables_of(rows, "2024-06-30")["kpi_mrr"]
    gold = Decimal("166.6667")
    for label, column, amount in [("2024-01", "new_mrr", gold), ("2024-02", "expansion_mrr", 60),
                                  ("2024-03", "contraction_mrr", 60), ("2024-04", "churned_mrr", gold),
                                  ("2024-06", "reactivation_mrr", gold)]:  # fmt: skip
        assert row_of(mrr, label)[column] == amount, (label, column)


def test_example_5_a_cancellation_takes_effect_on_its_date():
    tables = tables_of([item("a", 100, "2024-01-01"), item("b", 100, "2024-01-01", "2024-03-01")], "2024-03-31")
    labels = months(2024, 3)
    assert series(tables["kpi_mrr"], "closing_mrr", labels) == [200, 200, 100]
    assert series(tables["kpi_churn"], "churned_customers", labels) == [0, 0, 1]
    assert row_of(tables["kpi_churn"], "2024-03")["customer_churn_rate"] == 0.5


def test_example_6_upsell_behind_a_movement_of_zero():
    rows = [
        item("a", 24, "2024-01-01", "2024-02-10", product="A"), item("a", 12, "2024-02-10", product="A"),
        item("a", 12, "2024-01-01", "2024-02-10", product="B"), item("a", 24, "2024-02-10", product="B"),
    ]  # fmt: skip
    tables = tables_of(rows, "2024-02-29")
    assert row_of(tables["kpi_mrr"], "2024-02")["expansion_mrr"] == 0
    expansion = row_of(tables["kpi_expansion"], "2024-02")
    assert (expansion["upsold_customers"], expansion["upsell_mrr"], expansion["upsell_rate"]) == (1, 12, 1.0)


@pytest.mark.parametrize(("margin", "ltv"), [(Fraction(1), 2000.0), (Fraction(4, 5), 1600.0)])
def test_example_7_ltv(margin, ltv):
    """20 customers, one of which leaves and another of which joins every month: churn is 5 % in each of 12 months."""
    rows = [item(f"stays{n}", 100, "2023-01-01") for n in range(19)]
    for n in range(14):
        start, end = D(2023 + (n // 12), n % 12 + 1, 1), D(2023 + ((n + 1) // 12), (n + 1) % 12 + 1, 1)
        rows.append(item(f"passes{n}", 100, start.isoformat(), end.isoformat()))
    row = row_of(tables_of(rows, "2024-02-29", Settings(gross_margin=margin))["kpi_ltv"], "2024-02")
    assert (row["arpa"], row["ltv_status"], row["average_lifetime_months"]) == (100.0, "ok", 20.0)
    assert row["ltv"] == ltv


def survey(kind, scores):
    return [
        {"response_id": f"R{n}", "account_id": "a", "contact_id": None, "survey": kind, "topic": None,
         "score": Decimal(score), "responded_at": moment("2024-01-15T10:00:00")}
        for n, score in enumerate(scores)
    ]  # fmt: skip


def test_example_8_nps():
    table = tables_of(survey_responses=survey("nps", [9, 10] * 100 + [7, 8] * 50 + [0, 6] * 50))["kpi_satisfaction"]
    assert row_of(table, "2024-01")["nps"] == 25.0
    table = tables_of(survey_responses=survey("nps", [9] * 40 + [8] * 35 + [3] * 25))["kpi_satisfaction"]
    assert row_of(table, "2024-01")["nps"] == 15.0


def test_example_9_csat():
    scores = [5] * 42 + [4] * 32 + [3] * 10 + [2] * 9 + [1] * 14
    row = row_of(tables_of(survey_responses=survey("csat", scores))["kpi_satisfaction"], "2024-01")
    assert (row["csat_satisfied"], row["csat_responses"]) == (74, 107)
    assert round(100 * row["csat_rate"], 2) == 69.16


def test_example_10_churn_and_retention_of_customers():
    rows = [item(f"a{n}", 10, "2024-01-01", "2024-02-15" if n < 24 else None) for n in range(800)]
    assert row_of(tables_of(rows, "2024-02-29")["kpi_churn"], "2024-02")["customer_churn_rate"] == 0.03
    rows = [item(f"a{n}", 10, "2024-01-01", "2024-02-15" if n < 50 else None) for n in range(900)]
    rows += [item(f"new{n}", 10, "2024-02-10") for n in range(150)]
    retention = row_of(tables_of(rows, "2024-02-29")["kpi_retention"], "2024-02")
    assert (retention["closing_customers"], retention["new_customers"]) == (1000, 150)
    assert round(100 * retention["customer_retention_rate"], 2) == 94.44


def test_example_11_seven_months():
    rows = [item("a", 100, "2024-01-01", "2024-02-01"), item("a", 100, "2024-05-01", "2024-06-01"),
            item("a", 150, "2024-06-01", "2024-07-01")]  # fmt: skip
    tables = tables_of(rows, "2024-07-31")
    assert series(tables["kpi_mrr"], "closing_mrr", months(2024, 7)) == [100, 0, 0, 0, 100, 150, 0]
    moved = {(r["period_start"].month): r["movement"] for r in tables["fct_account_periods"] if r["grain"] == "month"}
    assert moved == {1: "new", 2: "churn", 5: "reactivation", 6: "expansion", 7: "churn"}


def test_example_12_open_ended_subscriptions_reach_the_as_of_date():
    tables = tables_of([item("a", 100, "2022-03-15")], "2024-12-10")
    rows = [r for r in tables["fct_account_periods"] if r["grain"] == "month"]
    assert len(rows) == 34 and all(r["closing_mrr"] == 100 for r in rows)
    assert row_of(tables["kpi_mrr"], "2024-12")["is_complete"] is False


# --- rules beyond the examples -------------------------------------------------------------------------------------


def test_paid_only_between_two_ends_is_counted_once_and_makes_a_later_return_a_reactivation():
    rows = [item("a", 100, "2024-03-03", "2024-03-21"), item("a", 100, "2024-06-10")]
    tables = tables_of(rows, "2024-06-30")
    assert series(tables["kpi_churn"], "same_period_churned_customers", months(2024, 6, 3)) == [1, 0, 0, 0]
    june = row_of(tables["kpi_mrr"], "2024-06")
    assert (june["new_mrr"], june["reactivation_mrr"]) == (0, 100)
    assert row_of(tables["kpi_mrr"], "FY2024-Q1")["reactivation_mrr"] == 100
    assert row_of(tables["kpi_mrr"], "FY2024")["reactivation_mrr"] == 100


def test_starting_stopping_and_returning_within_a_quarter_is_new_in_the_quarter():
    rows = [item("a", 100, "2024-04-03", "2024-04-21"), item("a", 100, "2024-06-10")]
    assert row_of(tables_of(rows, "2024-06-30")["kpi_mrr"], "FY2024-Q1")["new_mrr"] == 100


def rates(*pairs):
    return [{"currency": "USD", "rate_date": D.fromisoformat(d), "rate": Decimal(r)} for d, r in pairs]


def test_revaluation_stands_apart_from_expansion():
    known = rates(("2024-01-31", "150"), ("2024-02-25", "160"))
    rows = [item("a", 10, "2024-01-01", "2024-02-10", currency="USD"), item("a", 12, "2024-02-10", currency="USD")]
    tables = tables_of(rows, "2024-02-29", fx_rates=known)
    february = row_of(tables["kpi_mrr"], "2024-02")
    shown = [february[c] for c in ("opening_mrr", "fx_impact_mrr", "expansion_mrr", "closing_mrr")]
    assert shown == [1500, 100, 320, 1920]
    assert row_of(tables["kpi_churn"], "2024-02")["opening_mrr"] == 1600
    assert row_of(tables["kpi_nrr"], "2024-02")["nrr"] == 1.2


def test_a_rate_older_than_ten_days_is_missing():
    with pytest.raises(MissingRate, match=r"USD for 2024-02-29.*2024-02-18"):
        tables_of([item("a", 10, "2024-02-01", currency="USD")], "2024-02-29", fx_rates=rates(("2024-02-18", "150")))
    tables = tables_of([item("a", 10, "2024-02-01", currency="USD")], "2024-02-29",
                       fx_rates=rates(("2024-02-19", "150")))  # fmt: skip
    assert row_of(tables["kpi_mrr"], "2024-02")["closing_mrr"] == 1500


def test_attributes_are_those_at_opening_and_at_closing_for_newcomers():
    snapshots = {D(2024, 1, 31): [account("a", industry="Old")], D(2024, 2, 10): [account("a", industry="New")]}
    mrr = tables_of([item("a", 100, "2024-01-01", "2024-03-15")], "2024-03-31", accounts=snapshots)["kpi_mrr"]
    old, new = ("industry", "Old"), ("industry", "New")
    assert [row_of(mrr, m, old)["closing_mrr"] for m in months(2024, 3)] == [100, 100, 0]
    assert row_of(mrr, "2024-03", new)["churned_mrr"] == 100
    assert row_of(mrr, "2024-03", old)["opening_mrr"] == 0


def test_the_main_plan_without_a_paying_item_is_that_of_the_last_paid_day():
    rows = [item("a", 90, "2024-02-02", "2024-02-05", plan="early"), item("a", 10, "2024-02-05", "2024-02-07"),
            item("a", 10, "2024-02-05", "2024-02-07", plan="alpha")]  # fmt: skip
    churn = tables_of(rows, "2024-02-29")["kpi_churn"]
    assert row_of(churn, "2024-02", ("plan", "alpha"))["same_period_churned_customers"] == 1


def test_touch_tiers_rank_by_expected_ltv_then_first_paid_day_then_id():
    rows = [item(name, amount, start) for name, amount, start in [
        ("e", 10, "2024-01-01"), ("d", 10, "2024-01-01"), ("c", 10, "2024-01-02"), ("b", 20, "2024-01-03"),
        ("a", 5, "2024-01-01"), ("f", 5, "2024-01-01")]]  # fmt: skip
    tiers = {r["account_id"]: r["touch_tier"] for r in tables_of(rows, "2024-01-31")["dim_accounts"]}
    assert tiers == {"b": "high_touch", "d": "low_touch", "e": "low_touch", "c": "tech_touch", "a": "tech_touch",
                     "f": "tech_touch"}  # fmt: skip


def test_the_lifetime_of_a_plan_moves_its_customers_up_only_when_the_sample_is_large_enough():
    rows = [item(f"s{n}", 10, "2024-01-01", "2024-02-10" if n < 1 else None, plan="sticky") for n in range(40)]
    rows += [item(f"v{n}", 11, "2024-01-01", "2024-02-10" if n < 30 else None, plan="volatile") for n in range(40)]
    for small_sample, first in [(40, "s1"), (41, "v30")]:
        settings = Settings(small_sample=small_sample, high_touch_share=Fraction(1, 49))
        table = tables_of(rows, "2024-02-29", settings)["dim_accounts"]
        assert [r["account_id"] for r in table if r["touch_tier"] == "high_touch"] == [first]


def test_accounts_of_tests_and_what_starts_after_the_as_of_date_do_not_count():
    snapshots = {D(2024, 1, 1): [account("t"), account("a")], D(2024, 1, 20): [account("t", is_test=True)]}
    rows = [item("t", 100, "2024-01-01"), item("a", 10, "2024-01-01"), item("a", 10, "2024-02-01")]
    tables = tables_of(rows, "2024-01-31", accounts=snapshots)
    assert row_of(tables["kpi_mrr"], "2024-01")["closing_mrr"] == 10
    assert [r["account_id"] for r in tables["dim_accounts"]] == ["a"]


def test_twelve_month_cohorts_count_returners_with_what_they_pay_now():
    rows = [item("a", 100, "2023-01-01", "2023-06-01"), item("a", 150, "2024-02-01"), item("b", 50, "2023-01-01"),
            item("late", 70, "2023-03-10")]  # fmt: skip
    february = row_of(tables_of(rows, "2024-02-29")["kpi_nrr"], "2024-02")
    assert (february["cohort_12m_customers"], february["cohort_12m_mrr"]) == (2, 150)
    assert (february["retained_12m_mrr"], february["gross_retained_12m_mrr"]) == (200, 150)


def test_realised_and_purchase_ltv():
    def invoice(name, day, amount, kind):
        return {"invoice_id": name, "account_id": "a", "issued_at": moment(day), "amount": Decimal(amount),
                "currency": None, "kind": kind}  # fmt: skip

    bills = [invoice("1", "2024-01-10", "100", "recurring"), invoice("2", "2024-01-20", "300", "one_off"),
             invoice("3", "2024-02-10", "50", "refund"), invoice("4", "2024-02-11", "-10", "refund")]  # fmt: skip
    rows = [item("a", 100, "2024-01-01"), item("b", 1, "2024-01-01", "2024-02-10")]
    tables = tables_of(rows, "2024-02-29", invoices=bills)
    february = row_of(tables["kpi_ltv"], "2024-02")
    assert (february["average_purchase_value"], february["purchases_per_customer_month"]) == (200.0, 1.0)
    assert (february["ltv_status"], february["average_lifetime_months"]) == ("short_history", 2.0)
    assert (february["ltv_purchase"], february["ltv_realised_average"]) == (400.0, 340.0)
    assert tables["fct_account_ltv"][0]["paid_total"] == 340


def test_lifetime_without_subscriptions_comes_from_the_purchasers_that_bought_no_more():
    bills = [
        {"invoice_id": str(n), "account_id": who, "issued_at": moment(day), "amount": Decimal(10), "currency": None,
         "kind": None}
        for n, (who, day) in enumerate([("a", "2022-02-01"), ("b", "2022-03-01"), ("a", "2023-05-01")])
    ]  # fmt: skip
    table = tables_of(as_of="2024-01-31", invoices=bills)["kpi_ltv"]
    assert row_of(table, "2023-01")["average_lifetime_months"] is None
    row = row_of(table, "2024-01")
    assert (row["average_lifetime_months"], row["ltv_purchase"]) == (24.0, 20.0)


def test_trials_convert_within_thirty_days():
    rows = [item("a", 0, "2024-01-01", "2024-01-15", is_trial=True), item("a", 10, "2024-02-14"),
            item("b", 0, "2024-01-01", "2024-01-15", is_trial=True), item("b", 10, "2024-02-15"),
            item("c", 10, "2023-12-01"), item("c", 0, "2024-01-01", "2024-01-15", is_trial=True)]  # fmt: skip
    table = tables_of(rows, "2024-03-01")["kpi_trials"]
    january = row_of(table, "2024-01")
    assert (january["trials_ended"], january["trials_converted"], january["is_complete"]) == (2, 1, True)
    assert row_of(table, "2024-02")["is_complete"] is False


def test_onboarding_counts_only_accounts_whose_days_are_over():
    created = {"fast": "2024-01-01", "slow": "2024-01-01", "recent": "2024-01-30", "before": "2024-01-02"}
    snapshots = {D(2024, 1, 31): [account(a, created_at=moment(day)) for a, day in created.items()]}
    done = [("fast", "setup", "2024-01-11"), ("slow", "setup", "2024-01-12"), ("recent", "setup", "2024-01-30"),
            ("before", "setup", "2023-12-01")]  # fmt: skip
    steps = [{"account_id": a, "step": s, "completed_at": moment(day)} for a, s, day in done]
    settings = Settings(onboarding_steps=("setup",), onboarding_within_days=10)
    table = tables_of(as_of="2024-01-31", settings=settings, accounts=snapshots, onboarding_steps=steps)
    row = row_of(table["kpi_onboarding"], "2024-01")
    assert [row[c] for c in ("new_accounts", "eligible_accounts", "onboarded_accounts")] == [4, 3, 2]
    assert row["days_to_onboard_median"] == 5.0


def event(who, user, when, **more):
    return {"event_id": None, "account_id": who, "subscription_id": None, "user_id": user, "event_name": "login",
            "occurred_at": moment(when), "session_id": None, "duration_seconds": None, **more}  # fmt: skip


def test_users_sessions_and_windows():
    events = [event("a", "u1", "2024-01-31T23:50:00"), event("a", "u1", "2024-02-01T00:20:00"),
              event("a", "u1", "2024-02-01T00:50:01"), event("a", "u2", "2024-02-10T09:00:00"),
              event("b", None, "2024-02-10T09:00:00")]  # fmt: skip
    tables = tables_of([item("a", 10, "2024-01-01", quantity=4)], "2024-02-29", events=events)
    january, february = (row_of(tables["kpi_engagement"], m) for m in months(2024, 2))
    assert (january["active_users"], january["sessions"], january["session_minutes_average"]) == (1, 1, 30.0)
    assert [february[c] for c in ("active_users", "active_accounts", "sessions")] == [2, 2, 3]
    assert february["active_users_daily_average"] == 2 / 29
    assert february["active_users_weekly_average"] == 14 / 29
    assert (february["active_account_rate"], february["seat_utilisation"]) == (1.0, 0.5)


def test_an_extract_without_user_ids_counts_accounts():
    events = [event("a", None, "2024-01-05"), event("a", None, "2024-01-06"), event("b", None, "2024-01-06")]
    row = row_of(tables_of(as_of="2024-01-31", events=events)["kpi_engagement"], "2024-01")
    assert (row["active_users"], row["is_account_level"], row["sessions"]) == (2, True, 3)


def test_tickets_are_open_until_their_resolution_day():
    def ticket(name, created, resolved, updated=None):
        return {"ticket_id": name, "account_id": "a", "created_at": moment(created), "first_responded_at": None,
                "resolved_at": resolved and moment(resolved), "updated_at": updated and moment(updated)}  # fmt: skip

    tickets = [
        ticket("1", "2024-01-10", "2024-02-09"),
        ticket("2", "2024-01-11", "2024-01-13", "2024-01-13"),
        ticket("2", "2024-01-11", None, "2024-01-20"),
        ticket("3", "2024-02-01T00:00", "2024-02-01T02:00"),
    ]
    table = tables_of(as_of="2024-02-29", support_tickets=tickets)["kpi_support"]
    assert series(table, "ticket_backlog", months(2024, 2)) == [2, 1]
    assert series(table, "tickets_resolved", months(2024, 2)) == [0, 2]
    assert row_of(table, "2024-02")["ticket_resolution_hours_median"] == 361.0


def test_only_the_latest_nps_answer_of_a_contact_counts():
    answers = survey("nps", [10, 0, 0, 0])
    for answer, contact in zip(answers, ["c", "c", None, None], strict=True):
        answer["contact_id"] = contact
    answers[0]["responded_at"] += dt.timedelta(hours=1)
    row = row_of(tables_of(survey_responses=answers)["kpi_satisfaction"], "2024-01")
    assert (row["nps_responses"], row["promoters"], row["detractors"]) == (3, 1, 2)


def test_cohorts_start_at_the_first_month_end_as_a_customer():
    rows = [item("a", 10, "2024-01-05", "2024-01-20"), item("a", 10, "2024-02-05"),
            item("b", 30, "2024-02-05", "2024-03-10")]  # fmt: skip
    total = [r for r in tables_of(rows, "2024-03-31")["kpi_cohorts"] if r["segment_dimension"] == "total"]
    shown = [(r["cohort_month"], r["months_since_start"], r["retained_customers"], r["retained_mrr"]) for r in total]
    assert shown == [(D(2024, 2, 1), 0, 2, 40), (D(2024, 2, 1), 1, 1, 10)]


def test_a_cohort_keeps_the_mrr_of_its_own_month_end():
    known = rates(("2024-01-31", "150"), ("2024-02-29", "160"))
    tables = tables_of([item("a", 10, "2024-01-01", currency="USD")], "2024-02-29", fx_rates=known)
    total = [r for r in tables["kpi_cohorts"] if r["segment_dimension"] == "total"]
    shown = [(r["cohort_mrr"], r["retained_mrr"], r["revenue_retention_rate"]) for r in total]
    assert shown == [(1500, 1500, 1.0), (1500, 1600, 1600 / 1500)]


def test_values_carry_wilson_intervals_and_small_samples():
    rows = [item(f"a{n}", 10, "2024-01-01", "2024-02-15" if n < 10 else None) for n in range(100)]
    values = tables_of(rows, "2024-02-29")["kpi_values"]
    row = next(r for r in values if r["metric_id"] == "customer_churn_rate" and r["grain"] == "month"
               and r["period_start"] == D(2024, 2, 1) and r["segment_dimension"] == "total")  # fmt: skip
    assert (row["value"], row["numerator"], row["denominator"], row["is_small_sample"]) == (0.1, 10.0, 100.0, False)
    assert (round(row["ci_low"], 4), round(row["ci_high"], 4)) == (0.0552, 0.1744)


def test_identities_hold_in_every_row_of_a_company_with_two_currencies():
    known = [{"currency": "USD", "rate_date": D(2024, 1, 1) + dt.timedelta(days=n), "rate": Decimal(100 + n % 17)}
             for n in range(366)]  # fmt: skip
    rows = [
        item(f"a{n % 13}", 10 + n % 7, D(2024, 1 + n % 9, 1 + n % 28).isoformat(),
             D(2024, 1 + n % 9 + n % 4, 28).isoformat() if n % 3 else None,
             currency="USD" if n % 2 else None, plan=f"p{n % 3}")
        for n in range(60)
    ]  # fmt: skip
    tables = tables_of(rows, "2024-12-20", fx_rates=known)
    gains = ("opening_mrr", "fx_impact_mrr", "new_mrr", "reactivation_mrr", "expansion_mrr")
    for row in tables["kpi_mrr"]:
        assert sum(row[c] for c in gains) - row["contraction_mrr"] - row["churned_mrr"] == row["closing_mrr"]
    for row in tables["kpi_retention"]:
        joined = row["opening_customers"] + row["new_customers"] + row["reactivated_customers"]
        assert joined - row["churned_customers"] == row["closing_customers"]
    closings = [r["closing_mrr"] for r in tables["kpi_mrr"] if r["segment_dimension"] == "total"][:12]
    openings = [r["opening_mrr"] for r in tables["kpi_mrr"] if r["segment_dimension"] == "total"][:12]
    assert openings[1:] == closings[:-1]


def test_segments_sum_to_the_total():
    rows = [item(f"a{n}", 10 + n, "2024-01-01", "2024-03-05" if n % 3 else None, plan=f"p{n % 4}") for n in range(20)]
    mrr = tables_of(rows, "2024-03-31")["kpi_mrr"]
    for label in months(2024, 3):
        total = row_of(mrr, label)
        for dimension in Settings().segment_dimensions:
            parts = [r for r in mrr if r["period_label"] == label and r["segment_dimension"] == dimension]
            for column in ("closing_mrr", "churned_mrr", "customers"):
                assert sum(r[column] for r in parts) == total[column], (label, dimension, column)


def test_settings_are_read_as_written():
    tiers = {"high_touch_share": 0.1, "low_touch_share": 0.4, "high_touch_amount": None, "low_touch_amount": None}
    settings = Settings.from_vars(
        {
            "reporting_currency": "USD",
            "fiscal_year_start_month": 1,
            "gross_margin": 0.7,
            "small_sample": 20,
            "csat_threshold": 4.0,
            "segment_dimensions": ["plan"],
            "onboarding": {"steps": ["setup"], "require": "any", "within_days": 60},
            "touch_tiers": tiers,
        }
    )
    assert settings == Settings(
        "USD", 1, Fraction(7, 10), 20, Fraction(4), ("plan",), ("setup",), "any", 60, Fraction(1, 10), Fraction(2, 5)
    )


# --- reading and comparing -----------------------------------------------------------------------------------------


def test_read_lake_takes_deliveries_up_to_the_as_of_date(tmp_path):
    def deliver(extract, date, query):
        folder = tmp_path / "crm" / extract / f"extract_date={date}"
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{folder / 'part.parquet'}' (format parquet)")

    for date, amount in [("2024-01-31", 10), ("2024-02-29", 20), ("2024-03-31", 30)]:
        deliver("accounts", date, f"select 'a' account_id, 'x' || {amount} industry, '{date}' _file, 1::bigint _row")
        deliver("subscriptions", date, f"select 'a' account_id, {amount}::decimal(18,6) amount")
        deliver("invoices", date, f"select 'i{amount}' invoice_id, '{date}' _file, 2::bigint _row")
    deliver("invoices", "9999-12-31", "select 'i' invoice_id, '' _file, 1::bigint _row limit 0")
    company = read_lake(tmp_path, D(2024, 2, 29))
    assert sorted(company.accounts) == [D(2024, 1, 31), D(2024, 2, 29)]
    assert [row["amount"] for row in company.subscriptions] == [Decimal(20)]
    assert [(row["invoice_id"], row["_order"]) for row in company.invoices] == [("i10", 0), ("i20", 1)]
    assert company.events == []
    assert default_as_of(tmp_path) == D(2024, 3, 31)


def test_comparison_names_the_differing_cell():
    expected = [{"k": 1, "money": Decimal("1.0000"), "ratio": 0.5}, {"k": 2, "money": None, "ratio": None}]
    assert_tables_equal(expected, [expected[1], {"k": 1, "money": Decimal(1), "ratio": 0.5 + 1e-14}], ["k"])
    with pytest.raises(AssertionError, match=r"k=1: money: expected Decimal\('1.0000'\), actual Decimal\('1.0001'\)"):
        assert_tables_equal(expected, [{**expected[0], "money": Decimal("1.0001")}, expected[1]], ["k"])
    with pytest.raises(AssertionError, match=r"k=2: ratio: expected None, actual 0\.0"):
        assert_tables_equal(expected, [expected[0], {**expected[1], "ratio": 0.0}], ["k"])
    with pytest.raises(AssertionError, match="missing row k=2"):
        assert_tables_equal(expected, expected[:1], ["k"])
    with pytest.raises(AssertionError, match="two rows with k=1"):
        assert_tables_equal(expected, [*expected, expected[0]], ["k"])


def test_ravenstack_has_the_published_figures():
    if not RAVENSTACK.is_dir():
        pytest.skip(f"{RAVENSTACK} is absent")
    with (RAVENSTACK / "ravenstack_subscriptions.csv").open(newline="") as file:
        rows = [
            item(r["account_id"], r["mrr_amount"], r["start_date"], r["end_date"], plan=r["plan_tier"],
                 is_trial=r["is_trial"] == "True")
            for r in csv.DictReader(file)
        ]  # fmt: skip
    tables = tables_of(rows, "2024-12-31", Settings(segment_dimensions=("plan",)))
    labels = ["2023-01", "2023-06", "2024-06", "2024-11", "2024-12"]
    assert series(tables["kpi_mrr"], "closing_mrr", labels) == [4684, 242921, 3833405, 8460824, 10159608]
    assert series(tables["kpi_mrr"], "customers", labels[-2:]) == [474, 500]
    december = row_of(tables["kpi_nrr"], "2024-12")
    assert [round(december[c], 5) for c in ("nrr", "nrr_12m", "grr_12m")] == [1.14208, 2.92271, 0.9959]
    labels = months(2023, 12) + months(2024, 12)
    assert sum(series(tables["kpi_churn"], "churned_customers", labels)) == 2
