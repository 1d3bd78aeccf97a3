"""Excel workbooks as deliveries: what a cell becomes, which sheet is read, what is refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import zipfile
from decimal import Decimal

import pytest
from openpyxl import Workbook

from dagster_project.extracts.contract import load_contracts

ACCOUNTS = [("account_id", "account_name"), ("A1", "One"), ("A2", "Two")]
COLUMNS = ("subscription_id", "account_id", "amount", "billing_interval", "quantity", "start_date", "is_trial", "note")
SHEET = "xl/worksheets/sheet1.xml"
JANUARY = dt.datetime(2024, 1, 1)


def workbook(sheets: dict[str, list[tuple]], formats: dict[str, str] | None = None) -> bytes:
    """The bytes of a workbook with rows by the title of their sheet; `formats` are number formats by cell."""
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for cell, number_format in (formats or {}).items():
            sheet[cell].number_format = number_format
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def edited(data: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """The workbook with other XML in one of its parts, which is new where there was none to replace."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(made, "w") as target:
        contents = {name: source.read(name) for name in source.namelist()} | ({} if old else {part: b""})
        assert old in contents[part]
        contents[part] = contents[part].replace(old, new)
        for name, content in contents.items():
            target.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def subscriptions(company, tell):
    """`subscriptions(rows or bytes)` delivers a workbook of subscriptions: accounting and quarantine of it."""

    def deliver(content: list[tuple] | bytes, **options):
        (company.home / "landing/crm/subscriptions/2024-03-31/part.csv").unlink()
        data = content if isinstance(content, bytes) else workbook({"Sheet": content}, **options)
        company.deliver("crm/subscriptions", data, name="a.xlsx")
        report = company.ingest()
        [row] = [one for one in tell.rows_of(report, "crm/subscriptions") if one.status != "withdrawn"]
        counted = (row.delivered_rows, row.accepted_rows, row.quarantined_rows, row.status)
        return counted, company.quarantine("crm/subscriptions"), report

    return deliver


def item(**changes) -> tuple:
    values = dict(zip(COLUMNS, ("S1", "A1", 100, "month", 1, JANUARY, False, None), strict=True))
    return tuple((values | changes).values())


def test_cells_arrive_typed_with_the_row_of_the_sheet(company, subscriptions):
    rows = [COLUMNS, item(), item(subscription_id="S2", amount=50.5, quantity=3.0, is_trial=True, note="two\nlines")]
    counted, refused, _ = subscriptions(rows)
    assert (counted, refused) == ((2, 2, 0, "accepted"), [])
    columns = "subscription_id, amount, quantity, start_date, is_trial, _extra, _file, _row"
    assert company.lake("crm/subscriptions", columns) == [
        ("S1", Decimal(100), 1, dt.date(2024, 1, 1), False, '{"note":null}', "a.xlsx", 2),
        ("S2", Decimal("50.5"), 3, dt.date(2024, 1, 1), True, '{"note":"two\\nlines"}', "a.xlsx", 3),
    ]


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        ("007", "General", "007"),
        (7, "000", "7"),
        (1234567.0, "#,##0", "1234567"),
        (0.1 + 0.2, "General", "0.3"),
        (1e-7, "General", "0.0000001"),
        (1e21, "General", "1000000000000000000000"),
        (-0.5, "0%", "-0.5"),
        (True, "General", "true"),
        (JANUARY, "yyyy-mm-dd", "2024-01-01"),
        (JANUARY, 'yyyy"年"m"月"d"日"', "2024-01-01"),
        (JANUARY, "yyyy-mm-dd hh:mm", "2024-01-01 00:00:00"),
        (dt.datetime(2024, 1, 1, 13, 45, 10), "yyyy-mm-dd", "2024-01-01 13:45:10"),
        (dt.time(13, 45), "hh:mm", "13:45:00"),
        ("=1+1", "General", None),
    ],
)
def test_the_text_of_a_cell(company, subscriptions, value, number_format, text):
    subscriptions([COLUMNS, item(note=value)], formats={"H2": number_format})
    expected = [] if text is None else [(f'{{"note":"{text}"}}',)]
    assert company.lake("crm/subscriptions", "_extra") == expected


def test_a_midnight_is_no_part_of_a_date_whatever_its_format(company, subscriptions):
    subscriptions([COLUMNS, item()], formats={"F2": "yyyy-mm-dd hh:mm:ss"})
    assert company.lake("crm/subscriptions", "start_date") == [(dt.date(2024, 1, 1),)]


def test_a_midnight_of_a_timestamp_is_converted_like_any_other_time(company):
    company.change("crm/accounts", time_zone="UTC")
    rows = [("account_id", "created_at"), ("A1", JANUARY), ("A2", dt.datetime(2024, 1, 1, 0, 1))]
    (company.home / "landing/crm/accounts/2024-03-31/part.csv").unlink()
    formats = {"B2": "yyyy-mm-dd hh:mm:ss", "B3": "yyyy-mm-dd hh:mm:ss"}
    company.deliver("crm/accounts", workbook({"Sheet": rows}, formats), name="a.xlsx")
    company.ingest()
    assert company.lake("crm/accounts", "created_at") == [
        (dt.datetime(2024, 1, 1, 9, 0),),
        (dt.datetime(2024, 1, 1, 9, 1),),
    ]


def test_empty_rows_are_none_and_the_others_keep_their_numbers(company, subscriptions):
    counted, *_ = subscriptions([COLUMNS, (), item(), (None, ""), item(subscription_id="S2")])
    assert counted == (2, 2, 0, "accepted")
    assert company.lake("crm/subscriptions", "subscription_id, _row") == [("S1", 3), ("S2", 5)]


def test_a_row_that_is_no_record_is_quarantined_and_its_neighbours_are_not(company, subscriptions):
    rows = [COLUMNS, item(), item(amount="#N/A"), (*item(), "?"), item(amount="=C2*2"), item(amount="ten")]
    counted, refused, _ = subscriptions(rows)
    assert counted == (5, 1, 4, "accepted")
    assert [(row, reason, message) for row, _, reason, message in refused] == [
        (3, "malformed", "line: cell C3 holds the error #N/A"),
        (4, "malformed", "line: found a value in column I, expected 8 columns as in row 1"),
        (5, "malformed", "line: cell C5 holds a formula without its value; save the workbook in Excel"),
        (6, "type", "amount: found 'ten', expected a decimal of at most 12 digits before and 6 after the point"),
    ]


def test_a_formula_is_its_stored_value(company, subscriptions):
    data = workbook({"Sheet": [COLUMNS, item(amount="=50*2"), item(subscription_id="S2", note='=IF(1,"","x")')]})
    data = edited(data, SHEET, b"<f>50*2</f><v />", b"<f>50*2</f><v>100</v>")
    empty_text = b'<c r="H3" t="str"><f>IF(1,"","x")</f><v></v></c>'
    data = edited(data, SHEET, b'<c r="H3"><f>IF(1,"","x")</f><v /></c>', empty_text)
    assert subscriptions(data)[0] == (2, 2, 0, "accepted")
    assert company.lake("crm/subscriptions", "amount, _extra") == [(100, '{"note":null}'), (100, '{"note":null}')]


def test_texts_may_be_shared_and_a_wrong_size_is_not_believed(company):
    """As Excel itself writes texts, and as some exports write the size of a sheet."""
    data = edited(workbook({"Sheet": ACCOUNTS}), SHEET, b'ref="A1:B3"', b'ref="A1"')
    data = edited(data, SHEET, b' t="inlineStr"><is><t>Two</t></is>', b' t="s"><v>1</v>')
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    shared = b'<sst xmlns="' + main + b'"><si><t>None</t></si><si><r><t>T</t></r><r><t>wo</t></r></si></sst>'
    data = edited(data, "xl/sharedStrings.xml", b"", shared)
    kind = b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument'
    kind += b'.spreadsheetml.sharedStrings+xml"/></Types>'
    accounts(company, edited(data, "[Content_Types].xml", b"</Types>", kind))
    assert company.lake("crm/accounts", "account_id, account_name") == [("A1", "One"), ("A2", "Two")]


# sheets


def accounts(company, data: bytes):
    """What ingest reports of a workbook of accounts."""
    (company.home / "landing/crm/accounts/2024-03-31/part.csv").unlink()
    company.deliver("crm/accounts", data, name="a.xlsx")
    return company.ingest()


def with_sheet(company, sheet: str) -> None:
    file = company.contracts["crm/accounts"].file.model_copy(update={"sheet": sheet})
    company.change("crm/accounts", file=file)


def test_the_contract_chooses_the_sheet(company):
    with_sheet(company, "顧客")
    accounts(company, workbook({"Notes": [("read", "me")], "顧客": ACCOUNTS}))
    assert company.lake("crm/accounts", "account_id") == [("A1",), ("A2",)]


def test_a_contract_file_may_name_a_sheet(tmp_path):
    path = tmp_path / "crm" / "accounts.yml"
    path.parent.mkdir()
    path.write_text("file: {sheet: Customers}\n")
    assert load_contracts(tmp_path)["crm/accounts"].file.sheet == "Customers"


def test_a_sheet_that_is_not_there_refuses_with_the_names_found(company):
    with_sheet(company, "Accounts")
    [refusal] = accounts(company, workbook({"Notes": [("read", "me")], "顧客": ACCOUNTS})).refusals
    assert "a.xlsx: found no sheet 'Accounts', but 'Notes', '顧客'" in refusal


def test_of_several_sheets_the_contract_must_name_one(company):
    [refusal] = accounts(company, workbook({"One": ACCOUNTS, "Two": ACCOUNTS})).refusals
    assert "found several sheets, but 'One', 'Two'" in refusal
    assert "file: {sheet: ...}" in refusal


# what is refused


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("account_id", None, "account_name"), ("A1", "x", "One")], "row 1: column 2 has no name"),
        ([("account_id", "account_id"), ("A1", "A1")], "row 1: found the column 'account_id' twice"),
        ([(), *ACCOUNTS], "row 1: found an empty row; expected the names of the columns"),
        ([("id", "name"), ("A1", "One")], "required column account_id is missing; found the columns id, name"),
    ],
)
def test_a_header_that_is_none_refuses_the_delivery(company, rows, message):
    [refusal] = accounts(company, workbook({"Sheet": rows})).refusals
    assert "a.xlsx" in refusal and message in refusal


@pytest.mark.parametrize("rows", [[], ACCOUNTS[:1]], ids=["nothing", "header_only"])
def test_a_sheet_without_rows_would_empty_the_table(company, rows):
    [refusal] = accounts(company, workbook({"Sheet": rows})).refusals
    assert "would empty the table: a.xlsx" in refusal


def whole() -> bytes:
    return workbook({"Sheet": [ACCOUNTS[0], *((f"A{i}", "One") for i in range(2000))]})


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 and no more",
        b"account_id,account_name\nA1,One\n",
        whole()[:-200],
        whole()[:2000],
        edited(whole(), SHEET, b"</row></sheetData>", b""),
        edited(whole(), SHEET, b'<c r="B3" t="inlineStr"><is><t>One</t></is>', b'<c r="B3" t="s"><v>9</v>'),
        edited(whole(), "xl/workbook.xml", b"<workbook", b"<handbook"),
    ],
    ids=["zip_header", "text", "end_cut", "cut", "sheet_cut", "broken_reference", "no_workbook"],
)
def test_what_is_no_whole_workbook_refuses_the_delivery(company, data):
    report = accounts(company, data)
    assert "a.xlsx: the file stops in the middle or is no Excel workbook" in report.refusals[0]
    assert company.lake("crm/accounts") == []


def test_a_manifest_counts_the_rows_of_the_sheet(company):
    data = workbook({"Sheet": [*ACCOUNTS, ("A3", "#N/A")]})
    one = {"name": "a.xlsx", "rows": 3, "sha256": hashlib.sha256(data).hexdigest()}
    company.deliver("crm/accounts", json.dumps({"files": [one]}), name="_manifest.json")
    assert accounts(company, data).refusals == []
