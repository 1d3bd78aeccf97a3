"""The sample company: same bytes for the same arguments, canonical headers, believable dynamics, contained dirt."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml

from dagster_project.sample import write_sample_company
from dagster_project.settings import SHIPPED_CONTRACTS

LAST_DAY = date(2025, 9, 30)
INTERVAL_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Path:
    """300 accounts and 24 months, dirt included: the landing folder."""
    landing = tmp_path_factory.mktemp("company") / "landing"
    write_sample_company(landing, accounts=300, months=24)
    return landing


@pytest.fixture(scope="module")
def clean_company(tmp_path_factory) -> Path:
    """The same company without dirt."""
    landing = tmp_path_factory.mktemp("clean") / "landing"
    write_sample_company(landing, accounts=300, months=24, dirt=False)
    return landing


def read(path: Path) -> pd.DataFrame:
    """One delivered file, all values as text, missing ones None."""
    name = path.name
    if name.endswith(".parquet"):
        frame = duckdb.execute("select columns(*)::varchar from read_parquet(?)", [str(path)]).df()
    elif ".jsonl" in name:
        data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
        frame = pd.DataFrame([json.loads(line) for line in data.decode().splitlines()], dtype=object)
    else:
        frame = pd.read_csv(path, dtype=str)
    return frame.astype(object).where(frame.notna(), None)


def deliveries(landing: Path, extract: str) -> list[Path]:
    return sorted(landing.glob(f"{extract}/*/*"))


def every_row(landing: Path, extract: str) -> pd.DataFrame:
    return pd.concat([read(path) for path in deliveries(landing, extract)], ignore_index=True)


def contents(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in sorted(landing.rglob("*")) if path.is_file()}


def paying(landing: Path) -> pd.DataFrame:
    """Paying periods of the newest snapshot, with the monthly amount as `mrr`."""
    rows = read(deliveries(landing, "crm/subscriptions")[-1])
    rows = rows[(rows["is_trial"] == "false") & rows["billing_interval"].isin(INTERVAL_MONTHS)].copy()
    months = rows["billing_interval"].map(INTERVAL_MONTHS).astype(float) * rows["billing_interval_count"].astype(float)
    rows["mrr"] = rows["amount"].astype(float) / months
    rows["end_date"] = rows["end_date"].fillna("9999-12-31")
    return rows[rows["mrr"] > 0]


def monthly_mrr(landing: Path) -> pd.DataFrame:
    """MRR by account (rows) and month end (columns)."""
    rows = paying(landing)
    days = [path.parent.name for path in deliveries(landing, "crm/subscriptions")]
    columns = {
        day: rows[(rows["start_date"] <= day) & (day < rows["end_date"])].groupby("account_id")["mrr"].sum()
        for day in days
    }
    return pd.DataFrame(columns).fillna(0.0)


@pytest.mark.parametrize(
    ("arguments", "extracts"),
    [
        ({"accounts": 1, "months": 1}, {"crm/accounts", "crm/subscriptions", "usage/events"}),
        ({"accounts": 50, "months": 6}, {"crm/accounts", "crm/invoices", "crm/support_tickets", "usage/events"}),
        ({"accounts": 20, "months": 3, "currencies": ("JPY", "USD", "EUR")}, {"finance/fx_rates"}),
        ({"accounts": 8, "months": 2, "last_day": date(2024, 2, 10)}, {"crm/accounts", "crm/subscriptions"}),
    ],
)
def test_same_arguments_give_the_same_bytes(tmp_path, arguments, extracts):
    counts = write_sample_company(tmp_path / "a", **arguments)
    assert write_sample_company(tmp_path / "b", **arguments) == counts
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert extracts <= counts.keys()
    assert counts == {extract: len(every_row(tmp_path / "a", extract)) for extract in counts}
    last_day = arguments.get("last_day", LAST_DAY).isoformat()
    assert deliveries(tmp_path / "a", "crm/accounts")[-1].parent.name == last_day


def test_another_seed_gives_another_company(tmp_path):
    write_sample_company(tmp_path / "a", accounts=5, months=1, seed=1)
    write_sample_company(tmp_path / "b", accounts=5, months=1, seed=2)
    assert contents(tmp_path / "a") != contents(tmp_path / "b")


@pytest.mark.parametrize("seed", range(12))
def test_one_account_always_has_snapshots_with_rows(tmp_path, seed):
    counts = write_sample_company(tmp_path / "landing", accounts=1, months=1, seed=seed, dirt=False)
    assert counts["crm/accounts"] == 1
    assert counts["crm/subscriptions"] >= 1


def test_snapshots_only_of_the_last_day(tmp_path):
    write_sample_company(tmp_path / "landing", accounts=10, months=4, snapshot_every="last")
    for extract in ("crm/accounts", "crm/subscriptions"):
        assert [path.parent.name for path in deliveries(tmp_path / "landing", extract)] == ["2025-09-30"]
    assert len(deliveries(tmp_path / "landing", "usage/events")) == 4


def test_a_folder_with_deliveries_is_left_alone(tmp_path):
    delivered = tmp_path / "landing" / "crm" / "accounts.csv"
    delivered.parent.mkdir(parents=True)
    delivered.write_text("real")
    with pytest.raises(FileExistsError, match="expected no files yet"):
        write_sample_company(tmp_path / "landing", accounts=1, months=1)
    assert contents(tmp_path / "landing") == {"crm/accounts.csv": b"real"}


@pytest.mark.parametrize("wrong", [{"accounts": 0}, {"months": 0}, {"currencies": ("XXX",)}, {"currencies": ()}])
def test_arguments_that_describe_no_company_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        write_sample_company(tmp_path / "landing", **wrong)
    assert not list(tmp_path.iterdir())


def test_headers_are_the_canonical_columns(tmp_path):
    counts = write_sample_company(tmp_path / "landing", accounts=40, months=3, currencies=("JPY", "USD"))
    contracts = {f"{path.parent.name}/{path.stem}": path for path in (SHIPPED_CONTRACTS / "standard").glob("*/*.yml")}
    assert counts.keys() == contracts.keys()
    for extract, path in contracts.items():
        columns = [column["name"] for column in yaml.safe_load(path.read_text())["columns"]]
        # a system that deletes nothing has no such column, which the contracts allow
        expected = [name for name in columns if name != "is_deleted"]
        for delivered in deliveries(tmp_path / "landing", extract):
            assert list(read(delivered).columns) == expected, delivered


def test_business_grows_at_a_believable_pace(clean_company):
    mrr = monthly_mrr(clean_company)
    assert (mrr.iloc[:, -1] > 0).sum() > 1.5 * (mrr.iloc[:, 0] > 0).sum()
    churn, nrr = [], []
    for before, now in zip(mrr.columns, mrr.columns[1:], strict=False):
        held = mrr[mrr[before] > 0]
        churn.append((held[now] == 0).mean())
        nrr.append(held[now].sum() / held[before].sum())
    assert 0.01 <= sum(churn) / len(churn) <= 0.04
    assert 0.98 <= sum(nrr) / len(nrr) <= 1.03


def test_accounts_go_up_down_away_and_come_back(clean_company):
    mrr = monthly_mrr(clean_company)
    before, now = mrr.iloc[:, :-1].to_numpy(), mrr.iloc[:, 1:].to_numpy()
    assert ((before > 0) & (now > before)).sum() > 20
    assert ((now > 0) & (now < before)).sum() > 5
    assert ((before > 0) & (now == 0)).sum() > 10
    left = ((before > 0) & (now == 0)).cumsum(axis=1) > 0
    assert (left[:, :-1] & (before[:, 1:] == 0) & (now[:, 1:] > 0)).sum() >= 2


def test_trials_convert_and_do_not(clean_company):
    rows = read(deliveries(clean_company, "crm/subscriptions")[-1])
    trials = rows[(rows["is_trial"] == "true") & (rows["end_date"] < "2025-08-01")]
    starts = paying(clean_company).groupby("account_id")["start_date"].min()
    converted = trials["account_id"].isin(starts.index)
    assert converted.sum() > 20
    assert (~converted).sum() > 20


def test_the_usual_shapes_of_subscriptions_occur(clean_company):
    rows = read(deliveries(clean_company, "crm/subscriptions")[-1])
    assert {"month", "quarter", "half_year", "year", "one_off"} == set(rows["billing_interval"])
    assert (rows["billing_interval_count"] == "2").any()
    assert {"platform", "analytics", "automation", "ai_assist", "training"} == set(rows["product"])
    assert ((rows["plan"] == "Free") & (rows["amount"] == "0")).any()
    assert ((rows["is_trial"] == "true") & (rows["amount"] != "0")).any()
    paused = rows[(rows["amount"] == "0") & (rows["is_trial"] == "false") & (rows["plan"] != "Free")]
    assert not paused.empty


def test_usage_fades_before_an_account_leaves(clean_company):
    rows = read(deliveries(clean_company, "crm/subscriptions")[-1])
    lasting = rows[(rows["is_trial"] == "false") & (rows["billing_interval"] != "one_off")].fillna("9999-12-31")
    ends = lasting.groupby("account_id")["end_date"].max()  # a pause is a row too: who pauses has not left
    left = ends[ends.between("2024-03-01", "2025-08-31")]
    events = every_row(clean_company, "usage/events")
    events = events[events["account_id"].isin(left.index)]
    days_before = (
        pd.to_datetime(events["account_id"].map(left)) - pd.to_datetime(events["occurred_at"]).dt.normalize()
    ).dt.days
    last_month = days_before.between(1, 30).groupby(events["account_id"]).sum()
    usual = days_before.between(91, 120).groupby(events["account_id"]).sum()
    assert len(left) > 10
    assert last_month.sum() < 0.5 * usual.sum()
    assert (last_month < usual)[usual > 10].mean() > 0.8
    assert (days_before >= 0).all()


def test_no_two_paying_periods_of_one_item_overlap(company):
    rows = paying_without_dirt(company).sort_values(["subscription_id", "product", "start_date"])
    following = rows.groupby(["subscription_id", "product"])["start_date"].shift(-1)
    overlapping = rows[following.notna() & (rows["end_date"] > following.fillna(""))]
    assert overlapping.empty
    assert following.notna().sum() > 100


def paying_without_dirt(landing: Path) -> pd.DataFrame:
    """Paying periods of the newest snapshot, dirty rows (SUB-X...) left out."""
    rows = read(deliveries(landing, "crm/subscriptions")[-1])
    rows = rows[~rows["subscription_id"].str.startswith("SUB-X") & (rows["is_trial"] == "false")]
    rows = rows[(rows["amount"].astype(float) > 0) & (rows["end_date"] != rows["start_date"])]
    return rows.assign(end_date=rows["end_date"].fillna("9999-12-31"))


def test_later_snapshots_only_close_what_was_open(clean_company):
    key = ["subscription_id", "product", "start_date"]
    before, now = (read(path).set_index(key) for path in deliveries(clean_company, "crm/subscriptions")[-2:])
    both = before.join(now, suffixes=("", "_now"), how="left")
    assert before.index.is_unique
    assert both["amount_now"].notna().all()
    for column in ("amount", "plan", "quantity", "account_id"):
        assert (both[column] == both[f"{column}_now"]).all()
    was_closed = both["end_date"].notna()
    assert (both["end_date"] == both["end_date_now"])[was_closed].all()
    assert both["end_date_now"][~was_closed].notna().any()


def test_attributes_of_accounts_change_between_snapshots(clean_company):
    accounts = pd.concat(
        [read(path).assign(delivered=path.parent.name) for path in deliveries(clean_company, "crm/accounts")]
    )
    for attribute in ("industry", "region", "company_size", "owner"):
        assert (accounts.groupby("account_id")[attribute].nunique() > 1).any(), attribute
    assert accounts["industry"].isna().any()
    assert set(accounts["is_test"]) == set(accounts["community_touch"]) == {"true", "false"}


def test_tickets_are_delivered_again_and_some_are_reopened(clean_company):
    tickets = every_row(clean_company, "crm/support_tickets").sort_values(["ticket_id", "updated_at"])
    assert tickets.duplicated("ticket_id").sum() > 10
    resolved_before = tickets.groupby("ticket_id")["resolved_at"].shift(1).notna()
    assert (resolved_before & (tickets["status"] == "open") & tickets["resolved_at"].isna()).any()
    assert not tickets.duplicated(["ticket_id", "updated_at"]).any()


def test_nothing_is_dated_after_its_delivery(clean_company):
    dated = {
        "crm/invoices": "issued_at",
        "crm/onboarding_steps": "completed_at",
        "crm/support_tickets": "updated_at",
        "crm/survey_responses": "responded_at",
        "usage/events": "occurred_at",
        "crm/accounts": "created_at",
        "crm/subscriptions": "start_date",
    }
    for extract, column in dated.items():
        for path in deliveries(clean_company, extract):
            assert (read(path)[column].str[:10] <= path.parent.name).all(), path


def test_clean_surveys_invoices_and_events_follow_their_rules(clean_company):
    surveys = every_row(clean_company, "crm/survey_responses")
    scores = surveys.groupby("survey")["score"].agg(lambda column: set(map(int, column)))
    assert scores["nps"] <= set(range(11))
    assert scores["csat"] == {1, 2, 3, 4, 5}
    assert set(surveys["topic"]) == {"company", "service", "support"}
    assert not surveys["response_id"].duplicated().any()
    invoices = every_row(clean_company, "crm/invoices")
    assert set(invoices["kind"]) == {"recurring", "one_off", "refund"}
    assert (invoices.loc[invoices["kind"] != "refund", "amount"] > 0).all()
    assert not invoices["invoice_id"].duplicated().any()
    events = every_row(clean_company, "usage/events")
    assert (events["account_id"].notna() | events["subscription_id"].notna()).all()
    sent_again = events[events.duplicated("event_id", keep=False)]
    assert 0 < len(sent_again) < 0.01 * len(events)
    assert len(sent_again.drop_duplicates()) == sent_again["event_id"].nunique()


def test_events_named_by_subscription_belong_to_a_known_one(clean_company):
    known = read(deliveries(clean_company, "crm/subscriptions")[-1])["subscription_id"]
    named = every_row(clean_company, "usage/events")["subscription_id"].dropna()
    assert len(named) > 100
    assert named.isin(known).all()


def test_foreign_amounts_have_a_rate_of_the_last_ten_days(tmp_path):
    landing = tmp_path / "landing"
    write_sample_company(landing, accounts=30, months=2, currencies=("JPY", "USD"))
    rates = every_row(landing, "finance/fx_rates")
    used = read(deliveries(landing, "crm/subscriptions")[-1])
    assert set(rates["currency"]) == {"USD"}
    assert {"USD", "JPY", None} == set(used["currency"])
    assert rates["rate_date"].min() <= used["start_date"].min()
    assert pd.to_datetime(rates["rate_date"]).diff().max() <= pd.Timedelta(days=3)


def dirty_kinds(landing: Path) -> dict[str, int]:
    """How many delivered rows carry each kind of dirt."""
    rows = read(deliveries(landing, "crm/subscriptions")[-1])
    amounts = pd.to_numeric(rows["amount"], errors="coerce")
    invoices = every_row(landing, "crm/invoices")
    invoiced = pd.to_numeric(invoices["amount"], errors="coerce")
    surveys = every_row(landing, "crm/survey_responses")
    tickets = every_row(landing, "crm/support_tickets")
    steps = every_row(landing, "crm/onboarding_steps")
    events = every_row(landing, "usage/events")
    accounts = read(deliveries(landing, "crm/accounts")[-1])
    no_date = pd.to_datetime(rows["start_date"], errors="coerce").isna()
    return {
        "letters in an amount": int(amounts.isna().sum()),
        "a date that is none": int(no_date.sum()),
        "end before start": int((rows["end_date"] < rows["start_date"]).where(rows["end_date"].notna(), False).sum()),
        "negative amount": int((amounts < 0).sum()),
        "one key, two contents": int(rows.duplicated(["subscription_id", "product", "start_date"]).sum()),
        "unknown account": int((~rows["account_id"].isin(accounts["account_id"])).sum()),
        "letters in an invoice": int(invoiced.isna().sum()),
        "negative invoice": int(((invoiced < 0) & (invoices["kind"] != "refund")).sum()),
        "score 11": int((surveys["score"] == "11").sum()),
        "resolved before created": int((tickets["resolved_at"] < tickets["created_at"]).sum()),
        "step without a date": int(pd.to_datetime(steps["completed_at"], errors="coerce").isna().sum()),
        "event without account": int((events["account_id"].isna() & events["subscription_id"].isna()).sum()),
    }


def test_dirt_is_there_only_when_asked_for(company, clean_company):
    assert {kind for kind, rows in dirty_kinds(company).items() if rows == 0} == set()
    assert {kind for kind, rows in dirty_kinds(clean_company).items() if rows > 0} == set()


def test_dirt_is_a_small_share_and_only_added(company, clean_company):
    for path in clean_company.rglob("*.*"):
        if path.is_file() and path.suffix in {".csv", ".jsonl", ".gz"}:
            clean, dirty = read(path), read(company / path.relative_to(clean_company))
            assert len(dirty) - len(clean) <= 0.02 * len(clean), path
            left = pd.concat([dirty, clean, clean]).astype(str).drop_duplicates(keep=False)
            assert len(left) == len(dirty) - len(clean), path
