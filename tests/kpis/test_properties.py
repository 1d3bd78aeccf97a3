"""What must hold for every company: identities within one result, and what a change of the input may not change.

Each INVARIANT takes the tables of one run, each CHANGE a company and returns what must give the same tables. None knows
how a figure is computed; amounts are compared as DECIMAL, never as floating-point numbers.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache, reduce
from typing import Any

import pytest
from hypothesis import strategies as st
from inprocess import Lake, Row, Tables, unusual_project
from oracle import SEGMENT_KEY, assert_same_tables
from random_companies import AS_OF_DAYS, DAY, DELIVERY_DAYS, Example, as_ingested, search

TOGETHER = 5  # companies of one run
COUNTS = pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
DELTAS = ("invoices", "onboarding_steps", "support_tickets", "survey_responses", "events", "fx_rates")
REVENUE = ("kpi_mrr", "kpi_churn", "kpi_retention", "kpi_nrr", "kpi_expansion")
WITHOUT_VALUES = (
    *REVENUE,
    "kpi_ltv",
    "kpi_onboarding",
    "kpi_engagement",
    "kpi_satisfaction",
    "kpi_support",
    "kpi_trials",
    "kpi_cohorts",
    "dim_accounts",
    "fct_account_periods",
    "fct_account_ltv",
    "fct_engagement_daily",
)  # kpi_values only repeats the others
ACCOUNT_TABLES = ("fct_account_periods", "fct_account_ltv", "dim_accounts")
SCALING = (*REVENUE, "kpi_cohorts", "fct_account_periods")
OPENING_KINDS = {None: (True, True), "expansion": (True, True), "contraction": (True, True), "churn": (True, False),
                 "new": (False, True), "reactivation": (False, True)}  # fmt: skip
# sums over the accounts of a segment: what the segments of a dimension add up to
ADDITIVE = {
    "kpi_mrr": ("opening_mrr", "fx_impact_mrr", "new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr",
                "churned_mrr", "closing_mrr", "arr", "customers"),
    "kpi_churn": ("opening_customers", "churned_customers", "same_period_churned_customers", "opening_mrr"),
    "kpi_retention": ("opening_customers", "new_customers", "reactivated_customers", "closing_customers"),
    "kpi_nrr": ("opening_mrr", "retained_mrr", "gross_retained_mrr", "cohort_12m_customers", "cohort_12m_mrr",
                "retained_12m_mrr", "gross_retained_12m_mrr"),
    "kpi_expansion": ("upsold_customers", "upsell_mrr", "cross_sold_customers", "cross_sell_mrr"),
    "kpi_onboarding": ("new_accounts", "eligible_accounts", "onboarded_accounts"),
    "kpi_engagement": ("active_users", "active_accounts", "customers_in_period", "active_customers", "seats",
                       "sessions"),
    "kpi_satisfaction": ("nps_responses", "promoters", "passives", "detractors", "csat_responses", "csat_satisfied"),
    "kpi_support": ("tickets_opened", "tickets_resolved", "ticket_backlog"),
    "kpi_trials": ("trials_ended", "trials_converted"),
}  # fmt: skip


def kpi_rows(tables: Tables) -> Iterator[tuple[str, Row]]:
    return ((name, row) for name, rows in tables.items() if name.startswith("kpi_") for row in rows)


def total(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["segment_dimension"] == "total"]


def by(rows: Iterable[Row], *columns: str) -> dict[tuple, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    return groups


# --- invariants -----------------------------------------------------------------------------------------------------


def mrr_movements_explain_closing(tables: Tables) -> None:
    for r in tables["kpi_mrr"]:
        gained = r["new_mrr"] + r["reactivation_mrr"] + r["expansion_mrr"]
        lost = r["contraction_mrr"] + r["churned_mrr"]
        assert r["opening_mrr"] + r["fx_impact_mrr"] + gained - lost == r["closing_mrr"], r


def customer_movements_explain_closing(tables: Tables) -> None:
    for r in tables["kpi_retention"]:
        gained = r["new_customers"] + r["reactivated_customers"]
        assert r["opening_customers"] + gained - r["churned_customers"] == r["closing_customers"], r


def opening_is_the_last_closing(tables: Tables) -> None:
    for rows in by(total(tables["kpi_mrr"]), "grain").values():
        rows.sort(key=lambda row: row["period_start"])
        assert [r["opening_mrr"] for r in rows] == [Decimal(0), *(r["closing_mrr"] for r in rows[:-1])][: len(rows)]


def segments_sum_to_the_total(tables: Tables) -> None:
    for name, columns in ADDITIVE.items():
        for key, rows in by(tables[name], "grain", "period_start").items():
            dimensions = {d: found for (d,), found in by(rows, "segment_dimension").items()}
            for column in columns:
                sums = {d: sum(row[column] for row in found) for d, found in dimensions.items()}
                assert len(set(sums.values())) == 1, (name, column, key, sums)


def gross_retention_is_at_most_one_and_at_most_net(tables: Tables) -> None:
    for r in tables["kpi_nrr"]:
        for gross, net in (("grr", "nrr"), ("grr_12m", "nrr_12m")):
            assert (r[gross] is None) == (r[net] is None), r
            assert r[gross] is None or 0 <= r[gross] <= min(1, r[net]), r


def is_stickiness_of_a_longer_period(row: Row) -> bool:
    """It is published for months only, and its numerator and denominator for all periods."""
    return row["metric_id"] == "stickiness" and row["grain"] != "month"


def a_ratio_is_null_exactly_where_its_denominator_is_zero(tables: Tables) -> None:
    for r in tables["kpi_values"]:
        if r["denominator"] is not None and not is_stickiness_of_a_longer_period(r):
            assert (r["value"] is None) == (r["denominator"] == 0), r


def a_ratio_is_its_numerator_by_its_denominator(tables: Tables) -> None:
    for r in tables["kpi_values"]:
        if r["denominator"] and not is_stickiness_of_a_longer_period(r):
            factor = 100 if r["metric_id"] == "nps" else 1
            assert math.isclose(r["value"], factor * r["numerator"] / r["denominator"], rel_tol=1e-12, abs_tol=1e-12), r


def no_figure_is_infinite(tables: Tables) -> None:
    for name, row in kpi_rows(tables):
        assert all(math.isfinite(v) for v in row.values() if isinstance(v, float)), (name, row)


def counts_and_sums_are_never_null_nor_negative(tables: Tables) -> None:
    for name, columns in ADDITIVE.items():
        for row in tables[name]:
            for column in columns:
                assert row[column] is not None and (row[column] >= 0 or column == "fx_impact_mrr"), (name, column, row)


def intervals_hold_their_value(tables: Tables) -> None:
    for r in tables["kpi_values"]:
        if r["ci_low"] is not None:
            assert r["ci_low"] <= r["value"] <= r["ci_high"], r
            assert r["metric_id"] == "nps" or 0 <= r["ci_low"] <= r["ci_high"] <= 1, r


def every_segment_stands_in_every_period_once(tables: Tables) -> None:
    for name in ADDITIVE:
        for (grain,), rows in by(tables[name], "grain").items():
            keys = [tuple(row[column] for column in SEGMENT_KEY) for row in rows]
            periods, segments = {k[1] for k in keys}, {k[2:] for k in keys}
            assert len(keys) == len(set(keys)) == len(periods) * len(segments), (name, grain)


def arr_is_twelve_months_of_mrr(tables: Tables) -> None:
    assert all(row["arr"] == 12 * row["closing_mrr"] for row in tables["kpi_mrr"])


def net_churn_is_what_retention_leaves(tables: Tables) -> None:
    retention = {tuple(r[c] for c in SEGMENT_KEY): r for r in tables["kpi_nrr"]}
    for r in tables["kpi_churn"]:
        n = retention[tuple(r[c] for c in SEGMENT_KEY)]
        assert n["opening_mrr"] == r["opening_mrr"]
        assert n["gross_retained_mrr"] == r["opening_mrr"] - r["churned_mrr"] - r["contraction_mrr"], (r, n)
        assert n["retained_mrr"] == n["gross_retained_mrr"] + r["expansion_mrr"], (r, n)


def account_rows_sum_to_the_total(tables: Tables) -> None:
    accounts = by(tables["fct_account_periods"], "grain", "period_start")
    for r in total(tables["kpi_mrr"]):
        rows = accounts[r["grain"], r["period_start"]]
        assert sum(row["closing_mrr"] for row in rows) == r["closing_mrr"], r
        assert sum(row["opening_mrr"] - row["fx_impact_mrr"] for row in rows) == r["opening_mrr"], r
        assert sum(row["is_customer_closing"] for row in rows) == r["customers"], r


def a_movement_says_what_opening_and_closing_say(tables: Tables) -> None:
    for r in tables["fct_account_periods"]:
        assert r["movement_mrr"] == r["closing_mrr"] - r["opening_mrr"], r
        assert (r["is_customer_opening"], r["is_customer_closing"]) == (r["opening_mrr"] > 0, r["closing_mrr"] > 0), r
        if r["movement"] is not None:
            assert OPENING_KINDS[r["movement"]] == (r["is_customer_opening"], r["is_customer_closing"]), r
        assert (r["movement"] is None) == (r["movement_mrr"] == 0), r


def an_account_is_new_once_per_grain(tables: Tables) -> None:
    new = [r for r in tables["fct_account_periods"] if r["movement"] == "new"]
    assert all(len(rows) == 1 for rows in by(new, "account_id", "grain").values())


def longer_periods_close_as_their_last_month(tables: Tables) -> None:
    rows = total(tables["kpi_mrr"])
    last = max((r["period_end"] for r in rows if r["grain"] == "month"), default=None)
    closing = {r["period_end"]: (r["closing_mrr"], r["customers"]) for r in rows if r["grain"] == "month"}
    for r in rows:
        assert (r["closing_mrr"], r["customers"]) == closing[min(r["period_end"], last)], r


def months_add_up_to_quarters_and_years(tables: Tables) -> None:
    for name, column in (("kpi_engagement", "sessions"), ("kpi_support", "tickets_opened"),
                         ("kpi_trials", "trials_ended"),
                         ("kpi_support", "tickets_resolved"), ("kpi_onboarding", "new_accounts")):  # fmt: skip
        sums = {g: sum(r[column] for r in rows) for (g,), rows in by(total(tables[name]), "grain").items()}
        assert len(set(sums.values())) <= 1, (name, column, sums)


def users_of_a_day_are_users_of_its_week_and_month(tables: Tables) -> None:
    for r in tables["kpi_engagement"]:
        assert r["active_users_daily_average"] <= r["active_users_weekly_average"], r
        assert r["active_users_daily_average"] <= r["active_users"], r
        assert r["stickiness"] is None or (r["grain"] == "month" and 0 <= r["stickiness"] <= 1), r
    for r in tables["fct_engagement_daily"]:
        assert r["active_users"] <= r["active_users_7d"] <= r["active_users_30d"], r


def a_part_is_at_most_its_whole(tables: Tables) -> None:
    wholes = {
        "kpi_churn": [("churned_customers", "opening_customers"), ("churned_mrr", "opening_mrr")],
        "kpi_expansion": [("upsold_customers", "opening_customers"), ("cross_sold_customers", "opening_customers")],
        "kpi_engagement": [("active_customers", "customers_in_period"), ("active_customers", "active_accounts")],
        "kpi_onboarding": [("onboarded_accounts", "eligible_accounts"), ("eligible_accounts", "new_accounts")],
        "kpi_trials": [("trials_converted", "trials_ended")],
        "kpi_satisfaction": [("csat_satisfied", "csat_responses")],
        "kpi_cohorts": [("retained_customers", "cohort_customers")],
    }
    for name, pairs in wholes.items():
        assert all(row[part] <= row[whole] for row in tables[name] for part, whole in pairs), name


def nps_counts_every_response_once(tables: Tables) -> None:
    for r in tables["kpi_satisfaction"]:
        assert r["promoters"] + r["passives"] + r["detractors"] == r["nps_responses"], r
        assert r["nps"] is None or -100 <= r["nps"] <= 100, r


def a_cohort_begins_whole(tables: Tables) -> None:
    for r in tables["kpi_cohorts"]:
        if r["months_since_start"] == 0 and r["cohort_customers"]:
            assert (r["customer_retention_rate"], r["retained_mrr"]) == (1, r["cohort_mrr"]), r


def the_backlog_moves_by_what_opens_and_resolves(tables: Tables) -> None:
    for rows in by(total(tables["kpi_support"]), "grain").values():
        backlog = 0
        for r in sorted(rows, key=lambda row: row["period_start"]):
            backlog += r["tickets_opened"] - r["tickets_resolved"]
            assert r["ticket_backlog"] == backlog, r


def exactly_customers_have_a_tier(tables: Tables) -> None:
    rows = tables["dim_accounts"]
    assert all((r["touch_tier"] is not None) == r["is_customer"] == (r["current_mrr"] > 0) for r in rows)
    high = sum(r["touch_tier"] == "high_touch" for r in rows)
    assert high == math.ceil(Decimal("0.3") * sum(r["is_customer"] for r in rows))


def accounts_hold_the_newest_mrr(tables: Tables) -> None:
    rows = [r for r in total(tables["kpi_mrr"]) if r["grain"] == "month"]
    newest = max(rows, key=lambda row: row["period_start"], default={"closing_mrr": 0})
    assert sum(r["current_mrr"] for r in tables["dim_accounts"]) == newest["closing_mrr"]


INVARIANTS = [
    mrr_movements_explain_closing, customer_movements_explain_closing, opening_is_the_last_closing,
    segments_sum_to_the_total, gross_retention_is_at_most_one_and_at_most_net,
    a_ratio_is_null_exactly_where_its_denominator_is_zero, a_ratio_is_its_numerator_by_its_denominator,
    no_figure_is_infinite, counts_and_sums_are_never_null_nor_negative, intervals_hold_their_value,
    every_segment_stands_in_every_period_once, arr_is_twelve_months_of_mrr, net_churn_is_what_retention_leaves,
    account_rows_sum_to_the_total, a_movement_says_what_opening_and_closing_say, an_account_is_new_once_per_grain,
    longer_periods_close_as_their_last_month, months_add_up_to_quarters_and_years,
    users_of_a_day_are_users_of_its_week_and_month, a_part_is_at_most_its_whole, nps_counts_every_response_once,
    a_cohort_begins_whole, the_backlog_moves_by_what_opens_and_resolves, exactly_customers_have_a_tier,
    accounts_hold_the_newest_mrr,
]  # fmt: skip


@COUNTS
def test_invariants(count):
    """All of them on each company, since it is the run that costs; the traceback names the one that failed."""

    def check(example: Example) -> None:
        tables = unusual_project().run(example.lake, example.as_of)
        for invariant in INVARIANTS:
            invariant(tables)
        assert unusual_project().broken_data_tests(example.as_of) == []

    search(check, count, TOGETHER)


# --- changes of the input -------------------------------------------------------------------------------------------


def each_row(lake: Lake, change: Callable[[Row], Row], extracts: Iterable[str] | None = None) -> Lake:
    chosen = lake.keys() if extracts is None else set(extracts)
    return {name: [change(row) for row in rows] if name in chosen else rows for name, rows in lake.items()}


def with_row(lake: Lake, extract: str, row: Row) -> Lake:
    return {**lake, extract: [*lake[extract], {**row, "_file": "added.csv", "_row": 1}]}


def newest_snapshot(lake: Lake, extract: str, as_of: dt.date) -> dt.date:
    return max((r["extract_date"] for r in lake[extract] if r["extract_date"] <= as_of), default=DELIVERY_DAYS[0])


def item(account: str, as_of: dt.date, lake: Lake, **more: Any) -> Row:
    return {"subscription_id": "added", "account_id": account, "product": "added", "plan": "added", "quantity": 1,
            "amount": Decimal(50), "start_date": dt.date(2023, 1, 10), "billing_interval": "month",
            "extract_date": newest_snapshot(lake, "subscriptions", as_of), **more}  # fmt: skip


def other_ids(example: Example) -> Example:
    """Accounts keep their order, since the last tie between touch tiers is broken by it."""
    prefixes = {"account_id": "Z", "subscription_id": "q", "user_id": "p", "contact_id": "o", "session_id": "n",
                "ticket_id": "m", "invoice_id": "l", "event_id": "k", "response_id": "j"}  # fmt: skip

    def renamed(row: Row) -> Row:
        return {**row, **{n: p + row[n] for n, p in prefixes.items() if row.get(n) is not None}}

    return example.with_lake(each_row(example.lake, renamed))


def without_prefix(tables: Tables) -> Tables:
    known = [{**r, "account_id": r["account_id"].removeprefix("Z")} for r in tables["dim_accounts"]]
    facts = {n: [{**r, "account_id": r["account_id"].removeprefix("Z")} for r in tables[n]]
             for n in ("fct_account_periods", "fct_account_ltv")}  # fmt: skip
    return {**tables, "dim_accounts": known, **facts}


def rows_reversed(example: Example) -> Example:
    return example.with_lake({name: rows[::-1] for name, rows in example.lake.items()})


def later_deliveries_left_out(example: Example) -> Example:
    """What was known on the as-of date, when nothing later had been delivered."""
    lake = {n: [r for r in rows if r["extract_date"] <= example.as_of] for n, rows in example.lake.items()}
    return example.with_lake(lake)


def accounts_delivered_again(example: Example) -> Example:
    """Each snapshot of the accounts once more on the next day: only a changed value makes history."""
    again = [{**row, "extract_date": row["extract_date"] + DAY} for row in example.lake["accounts"]]
    return example.with_lake({**example.lake, "accounts": [*example.lake["accounts"], *again]})


def older_subscriptions_left_out(example: Example) -> Example:
    """The newest snapshot of the subscriptions replaces all earlier ones."""
    newest = newest_snapshot(example.lake, "subscriptions", example.as_of)
    left = [row for row in example.lake["subscriptions"] if row["extract_date"] >= newest]
    return example.with_lake({**example.lake, "subscriptions": left})


def deltas_delivered_again(example: Example) -> Example:
    """Each delta's rows once more in the same order, a delivery later than all of them."""
    lake = later_deliveries_left_out(example).lake
    again = deltas_in_one_go(example).lake
    last = {"extract_date": max(DELIVERY_DAYS[0], min(DELIVERY_DAYS[-1], example.as_of))}
    repeated = {name: [*lake[name], *({**row, **last} for row in again[name])] for name in DELTAS}
    return example.with_lake(as_ingested({**lake, **repeated}))


def deltas_in_one_go(example: Example) -> Example:
    """All deliveries of a delta in the first one, its files named so that their order stays."""

    def first(row: Row) -> Row:
        return {**row, "_file": f"{row['extract_date']} {row['_file']}", "extract_date": DELIVERY_DAYS[0]}

    return example.with_lake(as_ingested(each_row(later_deliveries_left_out(example).lake, first, DELTAS)))


def a_subscription_of_the_future(example: Example) -> Example:
    added = item("0A0", example.as_of, example.lake, start_date=example.as_of + DAY)
    return example.with_lake(with_row(example.lake, "subscriptions", added))


def items_split_in_time(example: Example) -> Example:
    """A priced period of many days as two that abut."""

    def parts(row: Row) -> list[Row]:
        middle = row["start_date"] + 7 * DAY
        taken = {(r["subscription_id"], r["product"], r["start_date"]) for r in example.lake["subscriptions"]}
        is_long = row.get("end_date") is None or middle < row["end_date"]
        # a trial cut in two would be two trials
        if not is_long or row.get("is_trial") or (row["subscription_id"], row["product"], middle) in taken:
            return [row]
        return [{**row, "end_date": middle}, {**row, "start_date": middle}]

    split = [part for row in example.lake["subscriptions"] for part in parts(row)]
    return example.with_lake({**example.lake, "subscriptions": split})


def the_reporting_currency_spelt_out(example: Example) -> Example:
    def spelt(row: Row) -> Row:
        return {**row, "currency": row.get("currency") or "EUR"}

    return example.with_lake(each_row(example.lake, spelt, ("subscriptions", "invoices")))


CHANGES = [
    other_ids, rows_reversed, later_deliveries_left_out, accounts_delivered_again, older_subscriptions_left_out,
    deltas_delivered_again, deltas_in_one_go, a_subscription_of_the_future, items_split_in_time,
    the_reporting_currency_spelt_out,
]  # fmt: skip


def published(*examples: Example, tables: Iterable[str] | None = None) -> Iterator[Tables]:
    """What the models publish of each example, or the tables named of it; two examples at a time."""
    return _threads().map(lambda run, e: run(e.lake, e.as_of, tables), _runs(), examples)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


@cache
def _runs() -> list[Callable[..., Tables]]:
    return [unusual_project().run, unusual_project().twin().run]


@COUNTS
def test_changes_nothing(count):
    """All of them on each company, in any order; what fails is shrunk to the one that matters."""

    def check(example: Example) -> None:
        changed = reduce(lambda so_far, change: change(so_far), example.changes, example)
        before, after = published(example, changed, tables=WITHOUT_VALUES)
        assert_same_tables(before, without_prefix(after) if other_ids in example.changes else after)

    search(check, count, TOGETHER, st.permutations(CHANGES))


@COUNTS
def test_one_go_or_month_by_month(count):
    def check(example: Example) -> None:
        assert_same_tables(*published(in_one_go(example), month_by_month(example), tables=WITHOUT_VALUES))

    search(check, count, TOGETHER)


def in_one_go(example: Example) -> Example:
    """Everything known on the as-of date in one delivery; of an account, the newest row."""
    known = later_deliveries_left_out(example).lake
    last = last_delivery(example)
    lake = {name: [{**r, "extract_date": last} for r in rows] for name, rows in deltas_in_one_go(example).lake.items()}
    accounts = [{**row, "extract_date": last} for row in newest_rows(known["accounts"]).values()]
    subscriptions = [
        {**row, "extract_date": last} for row in older_subscriptions_left_out(example).lake["subscriptions"]
    ]
    return example.with_lake({**lake, "accounts": accounts, "subscriptions": subscriptions})


def month_by_month(example: Example) -> Example:
    """The same facts, each delivery saying what was known on its day: what had begun, and no end that was to come."""
    known, whole = later_deliveries_left_out(example).lake, in_one_go(example).lake
    first_seen = {
        row["account_id"]: row["extract_date"] for row in sorted(known["accounts"], key=by_delivery, reverse=True)
    }
    accounts, subscriptions = [], []
    for day in (d for d in DELIVERY_DAYS if d < last_delivery(example)):
        accounts += [{**r, "extract_date": day} for r in whole["accounts"] if first_seen[r["account_id"]] <= day]
        subscriptions += [
            {**r, "extract_date": day, "end_date": r["end_date"] if r["end_date"] and r["end_date"] <= day else None}
            for r in whole["subscriptions"] if r["start_date"] <= day
        ]  # fmt: skip
    lake = {**known, "accounts": accounts + whole["accounts"], "subscriptions": subscriptions + whole["subscriptions"]}
    return example.with_lake(lake)


def last_delivery(example: Example) -> dt.date:
    return max(day for day in DELIVERY_DAYS if day <= example.as_of)


def newest_rows(accounts: list[Row]) -> dict[str, Row]:
    return {row["account_id"]: row for row in sorted(accounts, key=by_delivery)}


def by_delivery(row: Row) -> dt.date:
    return row["extract_date"]


@COUNTS
def test_an_unrelated_account_changes_no_other_accounts_rows(count):
    def check(example: Example) -> None:
        known = {"account_id": "unrelated", "region": "elsewhere", "extract_date": DELIVERY_DAYS[0]}
        lake = with_row(example.lake, "accounts", known)
        lake = with_row(lake, "subscriptions", item("unrelated", example.as_of, lake))
        runs = published(example, Example(lake, example.as_of), tables=ACCOUNT_TABLES)
        assert_same_tables(*map(of_other_accounts, runs))

    search(check, count, TOGETHER)


def of_other_accounts(tables: Tables) -> Tables:
    """Without what compares an account with all the others: its tier, and the lifetime that is expected of it."""
    compared = ("touch_tier", "ltv_expected")
    return {
        name: [{n: v for n, v in r.items() if n not in compared} for r in rows if r["account_id"] != "unrelated"]
        for name, rows in tables.items()
    }


@COUNTS
def test_one_off_charges_never_enter_recurring_revenue(count):
    def check(example: Example) -> None:
        charge = item("0A0", example.as_of, example.lake, billing_interval="one_off", end_date=dt.date(2023, 1, 11))
        lake = with_row(example.lake, "subscriptions", charge)
        assert_same_tables(*published(example, Example(lake, example.as_of), tables=REVENUE))

    search(check, count, TOGETHER)


@COUNTS
def test_scaling_all_amounts_scales_mrr_and_no_ratio(count):
    def check(example: Example) -> None:
        scales = (Example(scaled(example.lake, by), example.as_of) for by in (1, 7))
        before, after = published(*scales, tables=SCALING)
        assert_same_tables({name: [times_seven(row) for row in rows] for name, rows in before.items()}, after)

    search(check, count, TOGETHER)


def times_seven(row: Row) -> Row:
    amounts = {
        n: v for n, v in row.items() if v is not None and (n.endswith("_mrr") or n in ("arr", "arpa", "mrr_12m_ago"))
    }
    return {**row, **{name: 7 * value for name, value in amounts.items()}}


def scaled(lake: Lake, factor: int) -> Lake:
    """Monthly amounts in whole units and rates of two decimals, so that nothing is rounded at any scale."""

    def amounts(row: Row) -> Row:
        interval = "one_off" if row["billing_interval"] == "one_off" else "month"
        whole = Decimal(int(row["amount"])) * factor
        return {**row, "amount": whole, "billing_interval": interval, "billing_interval_count": 1}

    def rates(row: Row) -> Row:
        return {**row, "rate": round(row["rate"], 2)}

    return each_row(each_row(lake, amounts, ["subscriptions"]), rates, ["fx_rates"])


@COUNTS
def test_a_complete_period_is_the_same_as_of_any_later_day(count):
    def check(example: Example) -> None:
        lake = {n: [r for r in rows if r["extract_date"] <= AS_OF_DAYS[-1]] for n, rows in example.lake.items()}
        then, now = published(Example(lake, AS_OF_DAYS[-1]), Example(lake, AS_OF_DAYS[1]), tables=REVENUE)
        for name in REVENUE:
            known = {tuple(r[c] for c in SEGMENT_KEY): r for r in now[name]}
            complete = [r for r in then[name] if r["is_complete"]]
            assert_same_tables({name: complete}, {name: [known[tuple(r[c] for c in SEGMENT_KEY)] for r in complete]})

    search(check, count, TOGETHER)
