"""The raw gate: a sound lake passes every raw expectation, a dirty one fails each of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import duckdb
import pytest

from dagster_project.extracts.contract import load_contracts
from dagster_project.quality.raw import RawExtract, build_scratch, delivered_dates, raw_audit
from dagster_project.quality.results import render_failures
from dagster_project.settings import EXPECTATIONS, SHIPPED_CONTRACTS

RAW = EXPECTATIONS / "raw"
OLD, NEW = dt.date(2024, 2, 28), dt.date(2024, 2, 29)
LATER = dt.date(2024, 3, 1)


def extracts() -> dict[str, RawExtract]:
    contracts = {
        **load_contracts(SHIPPED_CONTRACTS / "standard"),
        "crm/churn_events": load_contracts(SHIPPED_CONTRACTS / "ravenstack")["crm/churn_events"],
    }
    return {n: RawExtract(c.system, c.name, c.mode, c.schema_types) for n, c in contracts.items()}


EXTRACTS = extracts()


def deliver(lake: Path, extract: str, date: dt.date, select: str | None) -> None:
    """Write one delivery; `select` gives some of the columns, None gives the zero-row file with all of them."""
    types = EXTRACTS[extract].columns
    folder = lake / extract / f"extract_date={date.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        connection.execute(f"create table delivered ({columns})")
        if select:
            connection.execute(f"insert into delivered by name {select}")
        connection.table("delivered").write_parquet(str(folder / "part.parquet"))


ACCOUNTS = (
    "select 'A' || i as account_id, 'IT' as industry, timestamp '2024-01-01' as created_at from range({n}) as r(i)"
)
SUBSCRIPTIONS = (
    "select 'S' || i as subscription_id, 'A' || i as account_id, 'Suite' as product, 10 as amount, "
    "'month' as billing_interval, date '2024-01-02' as start_date, cast(null as date) as end_date "
    "from range({n}) as r(i)"
)
SOUND = {
    "crm/accounts": ACCOUNTS.format(n=40),
    "crm/subscriptions": SUBSCRIPTIONS.format(n=40),
    "crm/invoices": "select 'I1' as invoice_id, 'A1' as account_id, timestamp '2024-02-01' as issued_at, 10 as amount",
    "crm/onboarding_steps": "select 'A1' as account_id, 'kickoff' as step, timestamp '2024-01-05' as completed_at",
    "crm/support_tickets": "select 'T1' as ticket_id, 'A1' as account_id, timestamp '2024-02-01' as created_at, "
    "timestamp '2024-02-02' as first_responded_at, timestamp '2024-02-03' as resolved_at",
    "crm/survey_responses": "select 'R' || i as response_id, 'A1' as account_id, 'csat' as survey, 1 + i % 5 as score, "
    "timestamp '2024-02-01' as responded_at from range(40) as r(i)",
    "usage/events": "select 'E' || i as event_id, 'A1' as account_id, timestamp '2024-02-01' as occurred_at "
    "from range(40) as r(i)",
    "finance/fx_rates": "select 'USD' as currency, date '2024-02-01' + cast(i as integer) as rate_date, 150 as rate "
    "from range(3) as r(i)",
    "crm/churn_events": None,
}
# Every expectation of the raw suites that is not about volume fails on this.
DIRTY = {
    "crm/accounts": "select 'A1' as account_id, timestamp '2025-01-01' as created_at, true as is_test from range(40)",
    "crm/subscriptions": "select 'S1' as subscription_id, 'A' || i % 2 as account_id, "
    "cast(null as varchar) as product, 0 as amount, date '2024-01-02' as start_date "
    "from range(40) as r(i) union all by name "
    "select 'S2' as subscription_id, 'A1' as account_id, 'Suite' as product, 0 as amount, "
    "unnest([date '2024-01-02', date '2024-02-02']) as start_date",
    "crm/invoices": "select 'I1' as invoice_id, 'A9' as account_id, timestamp '2025-01-01' as issued_at, "
    "unnest([1, 1, 1, 5000]) as amount",
    "crm/onboarding_steps": "select unnest(['A9', 'A9', 'A1']) as account_id, 'kickoff' as step, "
    "unnest([timestamp '2024-03-05', timestamp '2024-03-05', timestamp '2023-01-05']) as completed_at",
    "crm/support_tickets": "select 'T1' as ticket_id, unnest(['A9', 'A1']) as account_id, "
    "unnest([timestamp '2024-03-05', timestamp '2023-01-05']) as created_at, "
    "timestamp '2024-02-03' as first_responded_at, timestamp '2024-02-02' as resolved_at",
    "crm/survey_responses": "select 'R1' as response_id, 'A9' as account_id, 'csat' as survey, 5 as score, "
    "timestamp '2024-03-05' as responded_at from range(40)",
    "usage/events": "select 'E1' as event_id, 'A9' as account_id, timestamp '2024-03-05' as occurred_at "
    "from range(40) union all by name "
    "select 'E2' as event_id, 'S1' as subscription_id, timestamp '2023-03-05' as occurred_at",
    "finance/fx_rates": "select 'USD' as currency, "
    "unnest([date '2024-03-01', date '2024-03-01', date '2024-03-02']) as rate_date, "
    "unnest([150, 150, 0]) as rate",
    "crm/churn_events": "select 'C1' as churn_event_id, unnest(['A9', 'A9']) as account_id, "
    "date '2024-02-01' as churn_date",
}  # fmt: skip
VOLUME = ("not_half_of_previous_delivery", "not_triple_of_previous_delivery")


def accounting(**changes) -> dict:
    row = {"system": "crm", "extract": "accounts", "extract_date": NEW, "file_name": "a.csv", "file_sha256": "ab",
           "delivered_rows": 41, "accepted_rows": 40, "quarantined_rows": 1, "superseded_rows": 0,
           "status": "accepted"}  # fmt: skip
    return {**row, **changes}


@pytest.fixture
def lake(tmp_path) -> Path:
    """The sound lake: one old and one new delivery of each extract."""
    folder = tmp_path / "la'ke"
    for extract, select in SOUND.items():
        deliver(folder, extract, dt.date(9999, 12, 31), None)
        for date in (OLD, NEW) if select else ():
            deliver(folder, extract, date, select.replace("2024-02-0", "2024-01-2") if date == OLD else select)
    return folder


def target(**changes) -> dict:
    row = {"metric_id": "nrr", "grain": "month", "segment_dimension": "total", "segment_value": "all",
           "valid_from": dt.date(2023, 4, 1), "target": 1.0, "warning_threshold": None, "owner": "sales",
           "reviewed_on": NEW - dt.timedelta(days=180)}  # fmt: skip
    return {**row, **changes}


def run(lake: Path, deliveries=None, targets=()):
    return raw_audit(lake, EXTRACTS.values(), NEW, deliveries or [accounting()], RAW, targets or [target()])


def short(result) -> tuple[str, str]:
    return result.suite.removeprefix("raw/"), result.expectation.rpartition(":")[2]


def failed(report) -> set[tuple[str, str]]:
    return {short(r) for r in report.results if not r.success}


def test_a_sound_lake_passes_every_expectation(lake):
    report = run(lake)
    assert report.is_accepted, render_failures(report)
    assert failed(report) == set()
    assert {r.suite for r in report.results} == {f"raw/{name}" for name in [*EXTRACTS, "deliveries", "targets"]}


def test_a_dirty_lake_fails_every_expectation(lake, tmp_path):
    everything = {short(r) for r in run(lake).results}
    for extract, select in DIRTY.items():
        deliver(tmp_path / "dirty", extract, NEW, select)
    for extract in ("crm/accounts", "crm/subscriptions"):  # rows that the newest delivery no longer has
        deliver(tmp_path / "dirty", extract, OLD, SOUND[extract])
    report = run(tmp_path / "dirty", [accounting(delivered_rows=42)] * 2, [target(reviewed_on=None)])
    passed = {name for _, name in everything - failed(report)}
    assert passed == {*VOLUME, "account_without_paying_item_has_event", "churned_account_is_not_paying"}
    assert not report.is_accepted


@pytest.mark.parametrize(
    ("extract", "is_refused"), [("crm/accounts", True), ("crm/subscriptions", True), ("usage/events", False)]
)
def test_less_than_half_of_the_previous_delivery(lake, extract, is_refused):
    deliver(lake, extract, NEW, SOUND[extract].replace("range(40)", "range(19)"))
    report = run(lake)
    assert (extract, VOLUME[0]) in failed(report)
    assert report.is_accepted is not is_refused  # fmt: skip


@pytest.mark.parametrize("extract", ["crm/accounts", "crm/subscriptions", "usage/events"])
def test_more_than_triple_the_previous_delivery_is_a_warning(lake, extract):
    deliver(lake, extract, NEW, SOUND[extract].replace("range(40)", "range(121)"))
    report = run(lake)
    assert (extract, VOLUME[1]) in failed(report)
    assert report.is_accepted


def test_a_small_previous_delivery_says_nothing_about_volume(lake):
    deliver(lake, "crm/accounts", OLD, ACCOUNTS.format(n=19))
    deliver(lake, "crm/subscriptions", OLD, SUBSCRIPTIONS.format(n=19))
    deliver(lake, "crm/accounts", NEW, ACCOUNTS.format(n=2))
    deliver(lake, "crm/subscriptions", NEW, SUBSCRIPTIONS.format(n=2))
    assert run(lake).is_accepted


def test_a_subscription_of_an_unknown_account_is_counted_and_not_refused(lake):
    deliver(lake, "crm/accounts", NEW, ACCOUNTS.format(n=38))
    report = run(lake)
    (found,) = [r for r in report.results if r.suite == "raw/crm/subscriptions" and not r.success]
    assert (short(found)[1], found.severity, found.unexpected_count) == ("account_is_known", "warning", 2)
    assert report.is_accepted


def test_churn_events_are_compared_with_what_is_paid(lake):
    deliver(
        lake,
        "crm/churn_events",
        NEW,
        "select 'C' || i as churn_event_id, 'A' || i as account_id, date '2024-02-01' as churn_date "
        "from range(3) as r(i)",
    )
    deliver(
        lake,
        "crm/subscriptions",
        NEW,
        SUBSCRIPTIONS.format(n=40).replace("cast(null as date)", "case when i >= 35 then date '2024-02-01' end"),
    )
    counts = {short(r)[1]: r.unexpected_count for r in run(lake).results if r.suite == "raw/crm/churn_events"}
    assert counts["churned_account_is_not_paying"] == 3
    assert counts["account_without_paying_item_has_event"] == 5  # fmt: skip


def test_an_empty_accounts_extract_is_refused(tmp_path):
    deliver(tmp_path, "crm/accounts", dt.date(9999, 12, 31), None)
    report = run(tmp_path)
    assert {r.observed_value for r in report.failed_critical if r.suite == "raw/crm/accounts"} == {
        "not evaluated: table crm__accounts has no rows"
    }


def test_the_views_hold_what_dbt_will_read(lake, tmp_path):
    for extract in ("crm/accounts", "crm/invoices", "usage/events"):
        deliver(lake, extract, LATER, SOUND[extract].replace("'A1'", "'A2'"))
    scratch = tmp_path / "raw.duckdb"
    build_scratch(scratch, lake, list(EXTRACTS.values()), NEW, [])
    with duckdb.connect(str(scratch), read_only=True) as connection:

        def dates(view: str) -> list[dt.date]:
            return [d for (d,) in connection.execute(f"select distinct extract_date from {view} order by 1").fetchall()]

        assert dates("crm__accounts") == [NEW]  # a snapshot: the newest up to the as-of date
        assert dates("crm__invoices") == [OLD, NEW]  # a delta: all of them
        assert dates("usage__events") == [NEW]  # large: only the newest
        assert connection.execute("select as_of from audit_date").fetchall() == [(NEW,)]
        volumes = connection.execute("select extract_date, accepted_rows, age from volumes where extract = 'accounts'")
        assert volumes.fetchall() == [(NEW, 40, 0), (OLD, 40, 1)]
    assert delivered_dates(lake, EXTRACTS["crm/accounts"], OLD) == [OLD]


def test_a_column_the_lake_lacks_is_null(tmp_path):
    folder = tmp_path / "crm" / "accounts" / "extract_date=2024-02-29"
    folder.mkdir(parents=True)
    duckdb.execute(f"copy (select 'A1' as account_id) to '{folder}/part.parquet'")
    scratch = tmp_path / "raw.duckdb"
    build_scratch(scratch, tmp_path, [EXTRACTS["crm/accounts"]], NEW, [])
    with duckdb.connect(str(scratch), read_only=True) as connection:
        assert connection.execute("select account_id, industry from crm__accounts").fetchall() == [("A1", None)]


def test_an_extract_without_a_suite_is_a_warning(lake):
    (lake / "jira" / "issues").mkdir(parents=True)
    own = RawExtract("jira", "issues", "delta", {"issue_id": "VARCHAR"})
    report = raw_audit(lake, [*EXTRACTS.values(), own], NEW, [accounting()], RAW)
    assert [(r.suite, r.expectation) for r in report.warnings] == [("raw/jira/issues", "extract_has_suite")]
    assert report.is_accepted


@pytest.mark.parametrize("reviewed_on", [NEW - dt.timedelta(days=181), None], ids=["long_ago", "never"])
def test_a_target_nobody_reviewed_is_a_warning_and_holds_nothing_back(lake, reviewed_on):
    report = run(lake, targets=[target(), target(grain="year", reviewed_on=reviewed_on)])
    assert failed(report) == {("targets", "reviewed_within_180_days")}
    assert report.is_accepted


def test_a_target_that_is_replaced_or_not_yet_in_force_needs_no_review(lake):
    old = target(valid_from=dt.date(2022, 4, 1), reviewed_on=dt.date(2022, 4, 1))
    future = target(valid_from=NEW + dt.timedelta(days=1), reviewed_on=None)
    assert failed(run(lake, targets=[old, target(), future])) == set()


def test_every_shipped_extract_has_a_suite():
    shipped = {name for folder in SHIPPED_CONTRACTS.iterdir() if folder.is_dir() for name in load_contracts(folder)}
    assert {n for n in shipped if not (RAW / f"{n}.json").is_file()} == set()


def test_the_report_is_the_same_every_time(lake):
    first, second = run(lake), run(lake)
    assert dataclasses.replace(first, audited_sha256="") == dataclasses.replace(second, audited_sha256="")
