"""From landing to lake: what is accepted, refused, superseded, and that it is all accounted for."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from dagster_project.extracts import ingest as ingest_module
from dagster_project.extracts import keys, lake, scan
from dagster_project.extracts.contract import load_contracts
from dagster_project.extracts.ingest import default_as_of, newest_snapshot_dates, read_accounting
from dagster_project.settings import ConfigurationError

DAY = "2024-03-31"
HEADER = "subscription_id,account_id,product,amount,billing_interval,start_date,end_date\n"
GOOD = "S1,A1,core,100,month,2024-01-01,\n"


def counts(rows):
    return [
        (row.delivered_rows, row.accepted_rows, row.quarantined_rows, row.superseded_rows, row.status) for row in rows
    ]


def subscriptions(company, tell, text: str, **options):
    """Deliver subscriptions instead of the usual ones; the report, its accounting and the quarantine."""
    company.deliver("crm/subscriptions", text, **options)
    report = company.ingest()
    return report, counts(tell.rows_of(report, "crm/subscriptions")), company.quarantine("crm/subscriptions")


# what is accepted


def test_rows_arrive_typed_with_their_file_and_line(company, tell):
    report = company.ingest()
    assert counts(tell.rows_of(report, "crm/subscriptions")) == [(2, 2, 0, 0, "accepted")]
    assert company.lake("crm/subscriptions", "subscription_id, amount, start_date, end_date, _extra, _file, _row") == [
        ("S1", Decimal("100.000000"), dt.date(2024, 1, 1), None, None, "part.csv", 2),
        ("S2", Decimal("50.500000"), dt.date(2024, 2, 1), dt.date(2024, 3, 1), None, "part.csv", 3),
    ]
    assert report.refusals == []
    assert default_as_of(company.settings, company.contracts) == dt.date(2024, 3, 31)


def test_every_extract_of_the_contracts_can_be_read_even_if_never_delivered(company):
    company.ingest()
    for extract, contract in company.contracts.items():
        pattern = company.home / "lake" / extract / "extract_date=*" / "*.parquet"
        described = duckdb.execute(f"describe select * from read_parquet('{pattern}', hive_partitioning = false)")
        assert [(name, kind) for name, kind, *_ in described.fetchall()] == list(contract.schema_types.items())


QUERY = """select 'S1' as subscription_id, 'A1' as account_id, 100.5::decimal(18, 2) as amount,
    'month' as billing_interval, date '2024-01-01' as start_date"""


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_every_format_gives_the_same_rows(company, tell, name):
    fields = ("S1", "A1", "100.5", "month", "2024-01-01")
    names = ("subscription_id", "account_id", "amount", "billing_interval", "start_date")
    shutil.rmtree(company.home / "landing" / "crm" / "subscriptions")
    if name.endswith("parquet"):
        company.copy("crm/subscriptions", QUERY, name=name)
    else:
        separator = "\t" if "tsv" in name else ","
        text = f"{separator.join(names)}\n{separator.join(fields)}\n"
        if "jsonl" in name:
            text = json.dumps(dict(zip(names, fields, strict=True)) | {"amount": 100.5}) + "\n"
        data = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
        company.deliver("crm/subscriptions", data, name=name)
    report = company.ingest()
    assert counts(tell.rows_of(report, "crm/subscriptions")) == [(1, 1, 0, 0, "accepted")]
    assert company.lake("crm/subscriptions", "subscription_id, amount, start_date") == [
        ("S1", Decimal("100.500000"), dt.date(2024, 1, 1))
    ]


def test_crlf_bom_quotes_and_line_breaks_are_read(company, tell):
    company.deliver(
        "crm/accounts",
        b'\xef\xbb\xbfaccount_id,account_name,note\r\nA1,"Two, Ltd","first\r\nsecond"\r\nA2,"say ""hi""",\r\n',
    )
    report = company.ingest()
    assert counts(tell.rows_of(report, "crm/accounts")) == [(2, 2, 0, 0, "accepted")]
    assert company.lake("crm/accounts", "account_id, account_name, _extra, _row") == [
        ("A1", "Two, Ltd", '{"note":"first\\r\\nsecond"}', 2),
        ("A2", 'say "hi"', '{"note":null}', 4),
    ]


def test_cp932_text_is_read_as_the_contract_says(company):
    company.change("crm/accounts", file=company.contracts["crm/accounts"].file.model_copy(update={"encoding": "cp932"}))
    company.deliver("crm/accounts", "account_id,account_name\nA1,髙島①\n".encode("cp932"))
    company.ingest()
    assert company.lake("crm/accounts", "account_name") == [("髙島①",)]


def test_undeclared_columns_are_kept_and_reported(company, tell):
    company.deliver("crm/accounts", "account_id,account_name,score\nA1,One,7\n")
    report = company.ingest()
    assert company.lake("crm/accounts", "_extra") == [('{"score":"7"}',)]
    assert "score" in tell.finding(report, "crm/accounts", "columns_are_declared").observed_value


def test_inclusive_end_dates_become_the_first_day_not_covered(company):
    company.change("crm/subscriptions", inclusive_end_dates=True)
    company.ingest()
    assert company.lake("crm/subscriptions", "end_date") == [(dt.date(2024, 3, 2),), (None,)]


def test_a_last_line_without_line_end_is_accepted_with_a_warning(company, tell):
    report, rows, _ = subscriptions(company, tell, HEADER + GOOD.replace("\n", "2024-03-01"))
    assert rows == [(1, 1, 0, 0, "accepted")]
    assert tell.finding(report, "crm/subscriptions", "last_line_is_complete").severity == "warning"


def test_a_subscription_of_an_unknown_account_is_kept(company, tell):
    _, rows, refused = subscriptions(company, tell, HEADER + GOOD.replace("A1", "A999"))
    assert rows == [(1, 1, 0, 0, "accepted")]
    assert refused == []


# rows that are quarantined


@pytest.mark.parametrize(
    ("line", "column", "reason", "message"),
    [
        ("S9,A1,core,12x,month,2024-01-01,", "amount", "type", "amount: found '12x', expected a decimal"),
        ("S9,A1,core,-1,month,2024-01-01,", "amount", "rule", "amount: found '-1.000000'; an amount must not be"),
        ("S9,A1,core,1,month,2024-01-05,2024-01-01", "end_date", "rule", "must not end before its start_date"),
        ("S9,A1,core,1,month,2024-02-30,", "start_date", "type", "found '2024-02-30', expected a date YYYY-MM-DD"),
        ("S9,A1,core,1,monthly,2024-01-01,", "billing_interval", "value", "expected one of day, week, month"),
        ("S9,,core,1,month,2024-01-01,", "account_id", "required", "account_id: found nothing"),
        ("S9,A1,core,1,month", None, "malformed", "found 5 fields, expected 7"),
        ("S9,A1,core,100000000000,month,2024-01-01,", "amount", "rule", "expected less than 100000000000"),
        ("S9,A1,core,1,month,0001-01-01,", "start_date", "rule", "expected a day from 1970-01-01 on"),
        ('S9,"A1,core,1,month,2024-01-01,', None, "malformed", "a quote is not closed"),
        ('S9,"A"1,core,1,month,2024-01-01,', None, "malformed", "broken quotes"),
    ],
)
def test_a_bad_row_is_quarantined_and_its_neighbours_are_not(company, tell, line, column, reason, message):
    text = f"{HEADER}{GOOD}{line}\n{GOOD.replace('S1', 'S2')}"
    report, rows, refused = subscriptions(company, tell, text)
    assert rows == [(3, 2, 1, 0, "accepted")]
    [(row, found_column, found_reason, found_message)] = refused
    assert (row, found_column, found_reason) == (3, column, reason)
    assert message in found_message
    assert "part.csv row 3" in tell.finding(report, "crm/subscriptions", f"rows_meet_contract_{reason}").observed_value


def test_bytes_that_are_no_utf8_cost_their_line_only(company, tell):
    text = (HEADER + GOOD).encode() + b"S9,\xff\xfe,core,1,month,2024-01-01,\n"
    _, rows, refused = subscriptions(company, tell, text)
    assert rows == [(2, 1, 1, 0, "accepted")]
    assert "no UTF-8" in refused[0][3]


def test_the_raw_record_is_kept_and_a_personal_value_is_not_in_the_message(company):
    contract = company.contracts["usage/events"]
    columns = [one.model_copy(update={"type": "integer"}) if one.name == "user_id" else one for one in contract.columns]
    company.change("usage/events", columns=columns)
    company.deliver("usage/events", "account_id,user_id,occurred_at\nA1,taro@example.com,2024-03-01\n")
    company.ingest()
    [(_, column, _, message)] = company.quarantine("usage/events")
    assert column == "user_id"
    assert "taro" not in message
    pattern = company.home / "quarantine/usage/events/*/*.parquet"
    [(record,)] = duckdb.execute(f"select record from '{pattern}'").fetchall()
    assert json.loads(record)["user_id"] == "taro@example.com"


def test_an_event_of_nobody_and_an_nps_score_of_eleven_are_quarantined(company):
    company.deliver("usage/events", "account_id,subscription_id,occurred_at\n,,2024-03-01\n,S1,2024-03-01\n")
    company.deliver("crm/survey_responses", "response_id,survey,score,responded_at\nR1,nps,11,2024-03-01\nR2,nps,7.5,2024-03-01\nR3,csat,4.5,2024-03-01\n")  # fmt: skip  # noqa: E501
    company.ingest()
    assert [row[:3] for row in company.quarantine("usage/events")] == [(2, "account_id", "rule")]
    assert [row[:3] for row in company.quarantine("crm/survey_responses")] == [
        (2, "score", "rule"),
        (3, "score", "rule"),
    ]


def test_a_failing_expression_refuses_its_row_only(tmp_path, company):
    folder = tmp_path / "contracts" / "crm"
    folder.mkdir(parents=True)
    text = "source_columns: [account_id, size]\ncolumns:\n  - {name: company_size, from: 'size::integer + 1'}\n"
    (folder / "accounts.yml").write_text(text)
    company.contracts = load_contracts(tmp_path / "contracts")
    company.deliver("crm/accounts", "account_id,size\nA1,4\nA2,many\nA3,\n")
    company.ingest()
    assert company.lake("crm/accounts", "account_id, company_size") == [("A1", "5"), ("A3", None)]
    assert [row[:3] for row in company.quarantine("crm/accounts")] == [(3, "company_size", "expression")]


# keys


@pytest.mark.parametrize("at_once", [7, keys.MOST_SORTED])
def test_repeated_keys_are_found_among_more_rows_than_are_sorted_at_once(company, tell, monkeypatch, at_once):
    monkeypatch.setattr(keys, "MOST_SORTED", at_once)
    events = [f"e{number},A1,2024-03-01\n" for number in range(100)]
    repeated = [*events[::10], *events[::20]]
    company.deliver("usage/events", "".join(["event_id,account_id,occurred_at\n", *events, *repeated]))
    [row] = tell.rows_of(company.ingest(), "usage/events")
    assert (row.accepted_rows, row.superseded_rows) == (100, 15)
    assert len(set(company.lake("usage/events", "event_id"))) == 100


def test_identical_rows_of_a_snapshot_are_superseded_and_different_ones_quarantined(company, tell):
    text = HEADER + GOOD + GOOD + "S2,A1,,5,month,2024-01-01,\nS2,A1,,6,month,2024-01-01,\n"
    _, rows, refused = subscriptions(company, tell, text)
    assert rows == [(4, 1, 2, 1, "accepted")]
    assert [row[:3] for row in refused] == [(4, "start_date", "key_conflict"), (5, "start_date", "key_conflict")]
    assert "(S2, nothing, 2024-01-01) with different content in part.csv row 4, part.csv row 5" in refused[0][3]


def test_a_key_is_unique_over_all_files_of_a_delivery(company, tell):
    company.deliver("crm/accounts", "account_id,account_name\nA1,Uno\n", name="second.csv")
    report = company.ingest()
    assert counts(tell.rows_of(report, "crm/accounts")) == [(2, 1, 1, 0, "accepted"), (1, 0, 1, 0, "accepted")]


def test_in_a_delta_the_newest_then_the_last_line_wins(company, tell):
    company.deliver("crm/invoices", "invoice_id,account_id,issued_at,amount\nI1,A1,2024-03-01,1\nI1,A1,2024-03-01,2\n")
    company.deliver(
        "crm/support_tickets",
        "ticket_id,created_at,status,updated_at\nT1,2024-03-01,closed,2024-03-09\nT1,2024-03-01,open,2024-03-02\n",
    )
    report = company.ingest()
    assert company.lake("crm/invoices", "amount") == [(Decimal("2.000000"),)]
    assert company.lake("crm/support_tickets", "status") == [("closed",)]
    assert counts(tell.rows_of(report, "crm/invoices")) == [(2, 1, 0, 1, "accepted")]
    assert tell.finding(report, "crm/invoices", "key_is_unique").unexpected_count == 1


def test_an_event_is_its_id_on_a_local_day_and_without_an_id_its_whole_row(company, tell):
    header = "event_id,account_id,event_name,occurred_at\n"
    lines = "E1,A1,click,2024-03-01T14:00:00Z\nE1,A1,click,2024-03-01T15:00:00Z\n"  # 1 and 2 March in Tokyo
    lines += ",A1,click,2024-03-01\n,A1,click,2024-03-01\n,A1,view,2024-03-01\n"
    company.deliver("usage/events", header + lines)
    report = company.ingest()
    assert counts(tell.rows_of(report, "usage/events")) == [(5, 4, 0, 1, "accepted")]


# deliveries that are refused


def refused_message(report) -> str:
    [message] = report.refusals
    return message


def test_a_missing_required_column_refuses_the_delivery(company, tell):
    report, rows, _ = subscriptions(company, tell, "subscription_id,account_id,start_date\nS1,A1,2024-01-01\n")
    assert rows == [(0, 0, 0, 0, "refused")]
    assert company.lake("crm/subscriptions") == []
    message = refused_message(report)
    assert "crm/subscriptions 2024-03-31" in message and "part.csv: required column amount is missing" in message
    assert tell.finding(report, "crm/subscriptions", "delivery_accepted").severity == "critical"


def test_a_missing_optional_column_is_null_and_reported(company, tell):
    report = company.ingest()
    assert set(company.lake("crm/accounts", "region")) == {(None,)}
    assert tell.finding(report, "crm/subscriptions", "column_is_delivered", "currency").unexpected_count == 1


def test_repeated_header_names_refuse_the_delivery(company, tell):
    report, _, _ = subscriptions(company, tell, "subscription_id,amount,amount\nS1,1,2\n")
    assert "found the column 'amount' twice" in refused_message(report)


ROWS = "".join(f"S{i},A1,core,100,month,2024-01-01,\n" for i in range(2000))


def truncated(company, name: str) -> bytes:
    """A file of the format that stops in the middle."""
    if name.endswith("parquet"):
        path = company.copy("crm/invoices", "select range as a from range(5000)", name="whole.parquet")
        data = path.read_bytes()
        shutil.rmtree(company.home / "landing" / "crm" / "invoices")
        return data[: len(data) // 2]
    text = (HEADER + ROWS).encode()
    if "jsonl" in name:
        text = b'{"subscription_id": "S1", "account_id": "A1"}\n' * 500
    return gzip.compress(text)[:-20] if name.endswith("gz") else text[:-20]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_file_that_stops_in_the_middle_refuses_the_delivery(company, tell, name):
    data = truncated(company, name)
    if "tsv" in name:
        data = data.replace(b",", b"\t")
    shutil.rmtree(company.home / "landing" / "crm" / "subscriptions")
    report, rows, _ = subscriptions(company, tell, data, name=name)
    assert rows == [(0, 0, 0, 0, "refused")]
    assert f"{name}" in refused_message(report) and "stops in the middle" in refused_message(report)


@pytest.mark.parametrize(("text", "status"), [("", "zero_bytes"), (HEADER, "header_only")])
def test_a_snapshot_that_would_empty_the_table_is_refused(company, tell, text, status):
    report, rows, _ = subscriptions(company, tell, text)
    assert rows == [(0, 0, 0, 0, status)]
    assert "would empty the table" in refused_message(report)


def test_an_empty_delta_is_no_reason_to_refuse(company, tell):
    company.deliver("usage/events", "")
    company.deliver("usage/events", "account_id,occurred_at\n", day="2024-03-30")
    company.deliver("usage/events", '{"files": []}', day="2024-03-29", name="_manifest.json")
    report = company.ingest()
    days = ("2024-03-29", "2024-03-30", "2024-03-31")
    statuses = [row.status for day in days for row in tell.rows_of(report, "usage/events", day)]
    assert statuses == ["explicitly_empty", "header_only", "zero_bytes"]
    assert report.refusals == []


def test_too_many_quarantined_rows_refuse_the_delivery(company, tell):
    bad = ROWS.replace("100,month", "x,month", 200)
    report, rows, refused = subscriptions(company, tell, HEADER + bad)
    assert rows == [(0, 0, 0, 0, "refused")]
    assert "200 of 2,000 rows" in refused_message(report)
    assert len(refused) == 200


def test_a_refused_snapshot_matters_until_a_newer_one_is_accepted(company):
    company.deliver("crm/accounts", "name\nx\n", day="2024-04-01")
    assert len(company.ingest().refusals) == 1
    assert newest_snapshot_dates(company.settings, company.contracts)["crm/accounts"] == dt.date(2024, 3, 31)
    company.deliver("crm/accounts", "account_id\nA1\n", day="2024-04-02")
    assert company.ingest().refusals == []


def test_a_refused_delta_matters_for_ever(company):
    company.deliver("crm/invoices", "name\nx\n", day="2024-03-01")
    company.deliver("crm/invoices", "invoice_id,account_id,issued_at,amount\nI1,A1,2024-03-01,1\n")
    assert len(company.ingest().refusals) == 1


def test_a_volume_far_from_the_delivery_before_is_refused_whatever_arrived_first(company):
    limits = company.contracts["crm/accounts"].limits.model_copy(update={"min_rows_share": 0.8, "from_rows": 1})
    company.change("crm/accounts", limits=limits)
    company.ingest()
    rows = "".join(f"B{i}\n" for i in range(10))
    company.deliver("crm/accounts", f"account_id\n{rows}", day="2024-03-30")
    assert "fewer than the share 0.8" in refused_message(company.ingest())


def manifest(path, rows: int, digest: str | None = None) -> str:
    digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    return json.dumps({"files": [{"name": path.name, "rows": rows, "sha256": digest}]})


@pytest.mark.parametrize(
    ("rows", "digest", "expected"), [(2, None, None), (3, None, "found 2 rows"), (2, "ab", "found SHA-256")]
)
def test_a_manifest_is_verified(company, rows, digest, expected):
    path = company.home / "landing/crm/accounts" / DAY / "part.csv"
    company.deliver("crm/accounts", manifest(path, rows, digest), name="_manifest.json")
    refusals = company.ingest().refusals
    assert refusals == [] if expected is None else expected in refusals[0]


def test_a_required_manifest_must_be_there(company):
    company.change("crm/accounts", manifest="required")
    assert "_manifest.json is missing" in refused_message(company.ingest())


# layout


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("crm/leads/2024-03-31/a.csv", "undeclared extract crm/leads"),
        ("crm/accounts/2024-13-01/a.csv", "expected a date YYYY-MM-DD"),
        ("crm/accounts/latest/a.csv", "expected a date YYYY-MM-DD"),
        ("crm/accounts/a.csv", "found a file"),
        ("crm/accounts/2024-03-31/a.doc", "unknown ending '.doc'"),
        ("crm/accounts/2024-03-31/a.xls", "unknown ending '.xls'"),
    ],
)
def test_a_wrong_layout_is_a_configuration_error(company, place, message):
    path = company.home / "landing" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    with pytest.raises(ConfigurationError, match=message):
        company.ingest()
    assert not (company.home / "lake").exists()


def test_a_required_extract_never_delivered_is_a_configuration_error(company):
    shutil.rmtree(company.home / "landing/crm/accounts")
    with pytest.raises(ConfigurationError, match="no delivery of the required extract crm/accounts"):
        company.ingest()


# again and again


def state(company):
    return {path: path.read_bytes() for path in (company.home / "lake").rglob("*") if path.name.startswith("part-")}


def test_the_same_bytes_again_do_nothing_and_report_the_same(company):
    company.deliver("crm/invoices", "name\nx\n")
    first = company.ingest()
    inodes = {path: path.stat().st_ino for path in state(company)}
    told: list[str] = []
    second = company.ingest(progress=told.append)
    assert (first.read, second.read, told) == (3, 0, ["no new deliveries"])
    assert (second.deliveries, second.findings, second.refusals) == (first.deliveries, first.findings, first.refusals)
    assert {path: path.stat().st_ino for path in state(company)} == inodes


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ('"accepted_rows": 2', '"accepted_rows": 1'),
        ('"delivered_rows": 2', '"delivered_rows": "2"'),
        ('"extract": "crm/subscriptions"', '"extract": "crm/subscriptions", "of": "elsewhere"'),
        ('"refusal": null,', '"refusal": '),
    ],
)
def test_a_record_that_was_tampered_with_is_made_again(company, found, instead):
    report = company.ingest()
    record = company.home / "lake" / "crm" / "subscriptions" / f"extract_date={DAY}" / lake.RECORD
    whole = record.read_text()
    assert found in whole
    record.write_text(whole.replace(found, instead, 1))
    again = company.ingest()
    assert again.read == 1 and replace(again, read=report.read) == report and record.read_text() == whole


def test_a_touched_file_with_the_same_bytes_is_not_read_again(company):
    company.ingest()
    (company.home / "landing/crm/accounts" / DAY / "part.csv").touch()
    assert company.ingest().read == 0


def after_reading(monkeypatch, path, change):
    """Lets `change` happen to a file once its delivery was read, and its size and time look as before."""

    def read_and_change(con, settings, task):
        record, stat = read(con, settings, task), path.stat()
        if path in task.delivery.files:
            change()
            os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        return record

    read = ingest_module.read_delivery
    monkeypatch.setattr(ingest_module, "read_delivery", read_and_change)


def test_a_file_that_is_written_while_it_is_read_ends_the_run(company, monkeypatch):
    path = company.home / "landing/crm/accounts" / DAY / "part.csv"
    after_reading(monkeypatch, path, lambda: path.write_bytes(path.read_bytes().replace(b"One", b"Eno")))
    with pytest.raises(ConfigurationError, match="changed while they were read"):
        company.ingest()


def test_a_file_that_is_linked_while_it_is_read_is_the_same_file(company, monkeypatch):
    path = company.home / "landing/crm/accounts" / DAY / "part.csv"
    after_reading(monkeypatch, path, lambda: os.link(path, company.home / "backup.csv"))
    assert company.ingest().read == 2


def test_a_file_is_hashed_once(company, monkeypatch):
    hashed: list[str] = []
    sha256 = scan.sha256
    monkeypatch.setattr(scan, "sha256", lambda path: hashed.append(str(path)) or sha256(path))
    company.ingest()
    assert len(hashed) == len(set(hashed)) == 2


def test_new_bytes_under_the_same_name_supersede(company, tell):
    company.ingest()
    company.deliver("crm/accounts", "account_id,account_name\nA1,Renamed\n")
    report = company.ingest()
    assert report.read == 1
    assert company.lake("crm/accounts", "account_id, account_name") == [("A1", "Renamed")]
    assert counts(tell.rows_of(report, "crm/accounts")) == [(1, 1, 0, 0, "accepted")]


def test_mended_rows_leave_the_quarantine(company, tell):
    subscriptions(company, tell, HEADER + GOOD + "S2,A1,core,x,month,2024-01-01,\n")
    _, rows, refused = subscriptions(company, tell, HEADER + GOOD)
    assert (rows, refused) == ([(1, 1, 0, 0, "accepted")], [])


def test_a_withdrawn_file_takes_its_rows_along_and_is_reported(company, tell):
    path = company.deliver("crm/accounts", "account_id\nA3\n", name="more.csv")
    company.ingest()
    path.unlink()
    for _ in range(2):
        report = company.ingest()
        assert counts(tell.rows_of(report, "crm/accounts")) == [(0, 0, 0, 0, "withdrawn"), (2, 2, 0, 0, "accepted")]
        assert tell.finding(report, "crm/accounts", "file_is_still_delivered").unexpected_count == 1
    assert len(company.lake("crm/accounts")) == 2


def test_an_archived_date_keeps_its_rows(company, tell):
    company.deliver("crm/invoices", "invoice_id,account_id,issued_at,amount\nI1,A1,2024-03-01,1\n")
    company.ingest()
    shutil.rmtree(company.home / "landing/crm/invoices")
    report = company.ingest()
    assert len(company.lake("crm/invoices")) == 1
    assert counts(tell.rows_of(report, "crm/invoices")) == [(1, 1, 0, 0, "accepted")]
    company.time_zone = "UTC"
    assert "put its files back" in refused_message(company.ingest())


def test_another_time_zone_reads_everything_again(company):
    company.deliver("crm/invoices", "invoice_id,account_id,issued_at,amount\nI1,A1,2024-03-01T20:00:00Z,1\n")
    company.ingest()
    assert company.lake("crm/invoices", "issued_at") == [(dt.datetime(2024, 3, 2, 5),)]
    company.time_zone = "UTC"
    assert company.ingest().read == 3
    assert company.lake("crm/invoices", "issued_at") == [(dt.datetime(2024, 3, 1, 20),)]


def test_as_of_and_only_restrict_what_is_read(company, tell):
    company.deliver("crm/accounts", "account_id\nA1\n", day="2024-04-30")
    report = company.ingest(as_of=dt.date(2024, 3, 31))
    assert tell.rows_of(report, "crm/accounts", "2024-04-30") == []
    report = company.ingest(only={("crm/accounts", dt.date(2024, 4, 30))})
    assert report.read == 1
    accounting = read_accounting(company.settings, company.contracts, dt.date(2024, 3, 31))
    assert [(row.extract, row.delivered_rows) for row in accounting] == [("accounts", 2), ("subscriptions", 2)]


def test_a_day_missing_of_a_daily_extract_is_told(company, tell):
    company.change("usage/events", expected="daily")
    for day in ("2024-03-28", "2024-03-30"):
        company.deliver("usage/events", "account_id,occurred_at\nA1,2024-03-28\n", day=day)
    report = company.ingest()
    assert [row.status for row in tell.rows_of(report, "usage/events", "2024-03-29")] == ["missing"]
    assert tell.finding(report, "usage/events", "every_day_is_delivered").unexpected_count == 1


@pytest.mark.parametrize("stop_at", ["fresh", "write_record", "remove", "swap_in"])
def test_a_kill_leaves_the_old_or_the_new_state(company, monkeypatch, stop_at):
    company.ingest()
    before = company.lake("crm/accounts")
    company.deliver("crm/accounts", "account_id,account_name\nA1,Renamed\n")

    def die(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, stop_at, die)
        company.ingest()
    assert company.lake("crm/accounts") == before
    company.ingest()
    assert company.lake("crm/accounts", "account_name") == [("Renamed",)]
    assert list((company.home / "lake").rglob(".extract_date*")) == []


def test_a_kill_between_the_two_renames_is_settled_by_the_next_run(company):
    company.ingest()
    before = company.lake("crm/accounts")
    partition = lake.partition(company.settings.lake, "crm/accounts", dt.date(2024, 3, 31))
    partition.rename(partition.with_name(f".{partition.name}.old"))
    report = company.ingest()
    assert report.read == 0
    assert company.lake("crm/accounts") == before


def test_progress_tells_what_is_read(company):
    told: list[str] = []
    company.ingest(progress=told.append)
    assert told == [
        "reading crm/accounts 2024-03-31, 0.0 MB (1 of 2 deliveries)",
        "crm/accounts 2024-03-31: 2 rows (1 of 2 deliveries)",
        "reading crm/subscriptions 2024-03-31, 0.0 MB (2 of 2 deliveries)",
        "crm/subscriptions 2024-03-31: 2 rows (2 of 2 deliveries)",
        "read 2 of 2 deliveries: 4 rows",
    ]


# what is read must not be a guess


RATES = "currency,rate_date,rate\nUSD,2024-03-29,151.25\nUSD,2024-03-31,153.75\n"


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_last_number_without_a_line_end_is_never_taken_for_the_whole(company, tell, cut):
    company.deliver("finance/fx_rates", RATES[:-cut])
    report = company.ingest()
    assert counts(tell.rows_of(report, "finance/fx_rates")) == [(2, 1, 1, 0, "accepted")]
    if cut < 7:  # what is left of 153.75
        assert "may be cut off" in str(report.findings)


def test_a_contract_may_say_that_a_source_leaves_the_last_line_open(company, tell):
    rates = company.contracts["finance/fx_rates"]
    company.change("finance/fx_rates", file=rates.file.model_copy(update={"last_line_may_end_open": True}))
    company.deliver("finance/fx_rates", RATES[:-1])
    assert counts(tell.rows_of(company.ingest(), "finance/fx_rates")) == [(2, 2, 0, 0, "accepted")]


def test_a_missing_last_date_without_a_line_end_may_have_been_cut_off(company, tell):
    _, rows, _ = subscriptions(company, tell, HEADER + GOOD + GOOD.replace("S1", "S2").rstrip("\n"))
    assert rows == [(2, 1, 1, 0, "accepted")]


@pytest.mark.parametrize("text", ["\n", "\n\n", "\n" + HEADER + GOOD])
def test_an_empty_first_line_refuses_the_delivery(company, tell, text):
    report, _, _ = subscriptions(company, tell, text)
    (refusal,) = report.refusals
    assert "part.csv, line 1: found an empty line" in refusal


def test_a_line_of_megabytes_is_one_row_like_any_other(company, tell):
    long = GOOD.replace("core", "c" * 3_000_000)
    _, rows, _ = subscriptions(company, tell, HEADER + long + GOOD.replace("S1", "S2"))
    assert rows == [(2, 2, 0, 0, "accepted")]


def test_a_line_that_cannot_be_read_refuses_without_repeating_it(company, tell):
    report, _, _ = subscriptions(company, tell, HEADER + GOOD.replace("core", "c" * 20_000_000))
    (refusal,) = report.refusals
    assert "part.csv" in refusal
    assert len(refusal) < 400


def test_a_name_may_hold_a_line_break(company, tell):
    company.deliver("crm/accounts", 'account_id,account_name\nA1,"One\nOne"\nA2,Two\n')
    assert counts(tell.rows_of(company.ingest(), "crm/accounts")) == [(2, 2, 0, 0, "accepted")]


def test_a_refused_delivery_is_forgotten_with_its_folder(company, tell):
    company.deliver("crm/subscriptions", HEADER, day="2024-04-01")
    assert company.ingest().refusals
    shutil.rmtree(company.home / "landing" / "crm" / "subscriptions" / "2024-04-01")
    report = company.ingest()
    assert report.refusals == []
    assert [row.extract_date for row in tell.rows_of(report, "crm/subscriptions")] == [dt.date(2024, 3, 31)]


def test_a_refusal_that_a_later_snapshot_makes_irrelevant_is_a_warning(company):
    company.deliver("crm/subscriptions", HEADER, day="2024-03-01")
    report = company.ingest()
    assert report.refusals == []
    assert {f.severity for f in report.findings if f.expectation == "delivery_accepted"} == {"warning"}
