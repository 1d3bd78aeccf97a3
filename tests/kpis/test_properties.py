"""What must hold for every company: identities within one result, and what a change of the input may not change.

Each INVARIANT takes the tables of one run, each CHANGE a company and returns what must give the same tables. None knows
how a figure is computed; amounts are compared as DECIMAL, never as floating-point numbers.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from bruteforce import assert_tables_equal
from inprocess import Lake, Row, Tables, unusual_project
from random_companies import AS_OF_DAYS, DAY, DELIVERY_DAYS, Example, numbered, search
from test_random_companies import KEYS, SEGMENT_KEY

pytestmark = pytest.mark.long

DELTAS = ("invoices", "onboarding_steps", "support_tickets", "survey_responses", "events", "fx_rates")
REVENUE = ("kpi_mrr", "kpi_churn", "kpi_retention", "kpi_nrr", "kpi_expansion")
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


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_invariants(count):
    """All of them on each company, since it is the run that costs; the traceback names the one that failed."""

    def check(example: Example) -> None:
        tables = unusual_project().run(example.lake, example.as_of)
        for invariant in INVARIANTS:
            invariant(tables)
        assert unusual_project().broken_data_tests(example.as_of) == []

    search(check, count)


# --- changes of the input -------------------------------------------------------------------------------------------


def each_row(lake: Lake, change: Callable[[Row], Row], extracts: Iterable[str] | None = None) -> Lake:
    chosen = lake.keys() if extracts is None else set(extracts)
    return {name: [change(row) for row in rows] if name in chosen else rows for name, rows in lake.items()}


def with_rows(lake: Lake, extract: str, *rows: Row) -> Lake:
    return numbered({**lake, extract: [*lake[extract], *rows]})


def newest_snapshot(lake: Lake, extract: str, as_of: dt.date) -> dt.date:
    return max((r["extract_date"] for r in lake[extract] if r["extract_date"] <= as_of), default=DELIVERY_DAYS[0])


def item(account: str, as_of: dt.date, lake: Lake, **more: Any) -> Row:
    return {"subscription_id": "added", "account_id": account, "product": "added", "plan": "added", "quantity": 1,
            "amount": Decimal(50), "start_date": dt.date(2023, 1, 10), "billing_interval": "month",
            "extract_date": newest_snapshot(lake, "subscriptions", as_of), **more}  # fmt: skip


def other_ids(example: Example) -> Example:
    """Accounts keep their order, since the last tie between touch tiers is broken by it."""
    prefixes = {"account_id": "Z", "subscription_id": "q", "user_id": "p", "contact_id": "o", "session_id": "n",
                "ticket_id": "m", "invoice_id": "l", "event_id": "k"}  # fmt: skip

    def renamed(row: Row) -> Row:
        return {**row, **{n: p + row[n] for n, p in prefixes.items() if row.get(n) is not None}}

    return Example(each_row(example.lake, renamed), example.as_of)


def without_prefix(tables: Tables) -> Tables:
    known = [{**r, "account_id": r["account_id"].removeprefix("Z")} for r in tables["dim_accounts"]]
    facts = {n: [{**r, "account_id": r["account_id"].removeprefix("Z")} for r in tables[n]]
             for n in ("fct_account_periods", "fct_account_ltv")}  # fmt: skip
    return {**tables, "dim_accounts": known, **facts}


def rows_reversed(example: Example) -> Example:
    return Example({name: rows[::-1] for name, rows in example.lake.items()}, example.as_of)


def later_deliveries_left_out(example: Example) -> Example:
    """What was known on the as-of date, when nothing later had been delivered."""
    lake = {n: [r for r in rows if r["extract_date"] <= example.as_of] for n, rows in example.lake.items()}
    return Example(lake, example.as_of)


def deltas_delivered_again(example: Example) -> Example:
    """Each delta's rows once more in the same order, a delivery later than all of them."""
    lake = later_deliveries_left_out(example).lake
    again = deltas_in_one_go(example).lake
    last = {"extract_date": max(DELIVERY_DAYS[0], min(DELIVERY_DAYS[-1], example.as_of))}
    repeated = {name: [*lake[name], *({**row, **last} for row in again[name])] for name in DELTAS}
    return Example({**lake, **repeated}, example.as_of)


def deltas_in_one_go(example: Example) -> Example:
    """All deliveries of a delta in the first one, its files named so that their order stays."""

    def first(row: Row) -> Row:
        return {**row, "_file": f"{row['extract_date']} {row['_file']}", "extract_date": DELIVERY_DAYS[0]}

    return Example(each_row(later_deliveries_left_out(example).lake, first, DELTAS), example.as_of)


def a_subscription_of_the_future(example: Example) -> Example:
    added = item("A0", example.as_of, example.lake, start_date=example.as_of + DAY)
    return Example(with_rows(example.lake, "subscriptions", added), example.as_of)


def items_split_in_time(example: Example) -> Example:
    """A priced period of many days as two that abut."""

    def parts(row: Row) -> list[Row]:
        middle = row["start_date"] + 7 * DAY
        taken = {(r["subscription_id"], r["product"], r["start_date"]) for r in example.lake["subscriptions"]}
        is_long = row["end_date"] is None or middle < row["end_date"]
        # a trial cut in two would be two trials
        if not is_long or row["is_trial"] or (row["subscription_id"], row["product"], middle) in taken:
            return [row]
        return [{**row, "end_date": middle}, {**row, "start_date": middle}]

    split = [part for row in example.lake["subscriptions"] for part in parts(row)]
    return Example(numbered({**example.lake, "subscriptions": split}), example.as_of)


def the_reporting_currency_spelt_out(example: Example) -> Example:
    def spelt(row: Row) -> Row:
        return {**row, "currency": row["currency"] or "EUR"}

    return Example(each_row(example.lake, spelt, ("subscriptions", "invoices")), example.as_of)


@pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "change",
    [other_ids, rows_reversed, later_deliveries_left_out, deltas_delivered_again, deltas_in_one_go,
     a_subscription_of_the_future, items_split_in_time, the_reporting_currency_spelt_out],
)  # fmt: skip
def test_changes_nothing(change, count):
    def check(example: Example) -> None:
        before, changed = unusual_project().run(example.lake, example.as_of), change(example)
        after = unusual_project().run(changed.lake, changed.as_of)
        same(before, without_prefix(after) if change is other_ids else after)

    search(check, count)


def same(before: Tables, after: Tables, names: Iterable[str] | None = None) -> None:
    for name in before.keys() - {"dim_metrics"} if names is None else names:
        try:
            assert_tables_equal(before[name], after[name], KEYS.get(name, SEGMENT_KEY))
        except AssertionError as difference:
            raise AssertionError(f"{name}: {difference}") from None


def published(example: Example) -> Tables:
    return unusual_project().run(example.lake, example.as_of)


COUNTS = pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.long)])


@COUNTS
def test_an_unrelated_account_changes_no_other_accounts_rows(count):
    def check(example: Example) -> None:
        known = {"account_id": "unrelated", "region": "elsewhere", "extract_date": DELIVERY_DAYS[0]}
        lake = with_rows(example.lake, "accounts", known)
        lake = with_rows(lake, "subscriptions", item("unrelated", example.as_of, lake))
        before, after = (own_rows(published(Example(given, example.as_of))) for given in (example.lake, lake))
        same(before, after, before)

    search(check, count)


def own_rows(tables: Tables) -> Tables:
    """The rows of accounts but the unrelated one, without the tier, which compares an account with the others."""
    rows = [r for r in tables["fct_account_periods"] if r["account_id"] != "unrelated"]
    regions = [r for name in REVENUE[:1] for r in tables[name] if r["segment_value"] in ("north", "south")]
    return {
        "fct_account_periods": [{n: v for n, v in r.items() if n != "touch_tier"} for r in rows],
        "kpi_mrr": regions,
    }


@COUNTS
def test_one_off_charges_never_enter_recurring_revenue(count):
    def check(example: Example) -> None:
        charge = item("A0", example.as_of, example.lake, billing_interval="one_off", end_date=dt.date(2023, 1, 11))
        lake = with_rows(example.lake, "subscriptions", charge)
        before, after = (total_rows(published(Example(given, example.as_of))) for given in (example.lake, lake))
        same(before, after, REVENUE)

    # one more row may only open the segments of its account: the totals are what must not move
    search(check, count)


def total_rows(tables: Tables) -> Tables:
    return {name: total(tables[name]) for name in REVENUE}


@COUNTS
def test_scaling_all_amounts_scales_mrr_and_no_ratio(count):
    def check(example: Example) -> None:
        before, after = (published(Example(scaled(example.lake, by), example.as_of)) for by in (1, 7))
        for table in ("kpi_mrr", "kpi_nrr"):
            ours, theirs = (sorted(t[table], key=lambda r: [r[c] for c in SEGMENT_KEY]) for t in (before, after))
            for r, s in zip(ours, theirs, strict=True):
                for column, value in r.items():
                    expected = 7 * value if column.endswith("_mrr") or (column in ("arr", "arpa") and value) else value
                    found = s[column]
                    close = isinstance(value, float) and math.isclose(expected, found, rel_tol=1e-12)
                    assert close or expected == found, (table, column, r, s)

    search(check, count)


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
        then, now = (published(Example(lake, day)) for day in (AS_OF_DAYS[-1], AS_OF_DAYS[1]))
        for name in REVENUE:
            known = {tuple(r[c] for c in SEGMENT_KEY): r for r in now[name]}
            complete = [r for r in then[name] if r["is_complete"]]
            same({name: complete}, {name: [known[tuple(r[c] for c in SEGMENT_KEY)] for r in complete]})

    search(check, count)
