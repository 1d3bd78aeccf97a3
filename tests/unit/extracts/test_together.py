"""Deliveries read together and one by one leave the same lake, the same records and the same quarantine."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from dagster_project.extracts import ingest as ingest_module
from dagster_project.extracts import together
from dagster_project.extracts.contract import load_contracts
from dagster_project.extracts.sql import identifier
from dagster_project.settings import SHIPPED_CONTRACTS, Settings

Row = dict[str, str | None]
EVENTS = "usage/events"
DAYS = [f"2024-03-{number:02}" for number in range(1, 6)]
MIDDLE = DAYS[2]
FORMATS = ["parquet", "csv", "csv.gz", "tsv"]
COLUMNS = ["event_id", "account_id", "user_id", "event_name", "occurred_at", "session_id", "duration_seconds"]


@dataclass
class Deliveries:
    """Rows and texts to deliver by day and file name; a plain one, of three rows, on every day that says nothing."""

    files: dict[str, dict[str, list[Row] | bytes]] = field(
        default_factory=lambda: {day: {"part": rows(day)} for day in DAYS}
    )

    def land(self, company, kind: str) -> None:
        """Makes landing/ hold these files and no other ones."""
        for day, files in self.files.items():
            folder = company.home / "landing" / EVENTS / day
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                path.unlink()
            for name, content in files.items():
                written = content if isinstance(content, bytes) else encoded(content, kind)
                (folder / (name if "." in name else f"{name}.{kind}")).write_bytes(written)


def rows(day: str, count: int = 3, **changes: str | None) -> list[Row]:
    """Events of one day, good unless `changes` says otherwise."""
    return [
        {
            "event_id": f"e{number}",
            "account_id": "A1",
            "user_id": f"U{number}",
            "event_name": "login",
            "occurred_at": f"{day} 1{number % 10}:00:00",
            "session_id": None,
            "duration_seconds": "1.5",
            **changes,
        }
        for number in range(count)
    ]


def encoded(content: list[Row], kind: str) -> bytes:
    columns = list(content[0]) if content else COLUMNS
    if kind == "parquet":
        declared = ", ".join(f"{identifier(name)} varchar" for name in columns)
        with duckdb.connect() as connection:
            connection.execute(f"create table delivered ({declared})")
            for row in content:
                connection.execute(f"insert into delivered values ({', '.join('?' * len(row))})", list(row.values()))
            return as_parquet(connection, "from delivered")
    delimiter = "\t" if kind == "tsv" else ","
    lines = [columns, *([row[name] or "" for name in columns] for row in content)]
    text = "".join(delimiter.join(line) + "\n" for line in lines).encode()
    return gzip.compress(text) if kind == "csv.gz" else text


def as_parquet(connection: duckdb.DuckDBPyConnection, query: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        connection.execute(f"copy ({query}) to '{file.name}' (format parquet)")
        return Path(file.name).read_bytes()


def text(content: list[Row]) -> bytes:
    return encoded(content, "csv")


# What is delivered, and how many deliveries are then left to be read one by one.
Scenario = Callable[[Deliveries], int]


def plain(d: Deliveries) -> int:
    return 0


def repeated_in_a_file(d: Deliveries) -> int:
    first, second, third = rows(MIDDLE)
    d.files[MIDDLE]["part"] = [first, second, first, {**second, "event_name": "other"}, third]
    anonymous = rows(DAYS[3], event_id=None, user_id="U")
    d.files[DAYS[3]]["part"] = [*anonymous, anonymous[0]]
    return 0


def two_files(d: Deliveries) -> int:
    d.files[MIDDLE]["second"] = [{**rows(MIDDLE)[0], "event_name": "other"}, *rows(MIDDLE, 5)[3:]]
    d.files[DAYS[0]] = {"b": rows(DAYS[0]), "a": rows(DAYS[0], 1)}
    return 0


def bad_rows(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [*rows(MIDDLE), *rows(MIDDLE, 2, occurred_at="2024-02-30 00:00:00")]
    d.files[DAYS[3]]["part"] = [*rows(DAYS[3], duration_seconds="-1"), *rows(DAYS[3])]
    d.files[DAYS[4]] = {"good": rows(DAYS[4]), "bad": rows(DAYS[4], account_id=None)}
    return 3


def columns_missing(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [{k: v for k, v in row.items() if k != "session_id"} for row in rows(MIDDLE)]
    d.files[DAYS[3]]["second"] = [{k: row[k] for k in ("account_id", "occurred_at")} for row in rows(DAYS[3])]
    return 0


def columns_undeclared(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [{**row, "colour": "red", "it's": None} for row in rows(MIDDLE)]
    return 0


def columns_in_another_order(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [dict(reversed(row.items())) for row in rows(MIDDLE)]
    return 0


def header_only(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = []
    d.files[DAYS[0]]["second"] = []
    return 0


def nothing_but_headers(d: Deliveries) -> int:
    d.files = {day: {"part": []} for day in DAYS}
    return 0


def zero_bytes(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = b""
    d.files[DAYS[3]]["second"] = b""
    return 2


def all_bad(d: Deliveries) -> int:
    """A delivery whose limits refuse it, in the middle of the batch."""
    d.files[MIDDLE]["part"] = rows(MIDDLE, 150, occurred_at="soon")
    return 1


def required_column_missing(d: Deliveries) -> int:
    """A delivery that the contract refuses takes the batch apart."""
    d.files[MIDDLE]["part"] = [{k: v for k, v in row.items() if k != "occurred_at"} for row in rows(MIDDLE)]
    return 5


def deleted_rows(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [{**row, "is_deleted": flag} for row, flag in zip(rows(MIDDLE), "tf0", strict=True)]
    return 0


def events_of_other_days(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = [*rows(MIDDLE), *rows(DAYS[0]), *rows("2024-03-31", occurred_at="2024-03-31T23:30:00Z")]
    return 0


def names_that_look_like_patterns(d: Deliveries) -> int:
    d.files[MIDDLE] = {"a[1]*{b}": rows(MIDDLE), 'it\'s, "b"': rows(MIDDLE, 2)}
    return 0


def a_manifest(d: Deliveries) -> int:
    content = b"not even one"
    d.files[MIDDLE]["_manifest.json"] = content
    return 1


def no_bytes_of_the_format(d: Deliveries) -> int:
    d.files[MIDDLE]["part"] = b"\x00\x01\xff\n\xfe"
    return 1


ALL_FORMATS = [
    plain, repeated_in_a_file, two_files, bad_rows, columns_missing, columns_undeclared, columns_in_another_order,
    header_only, nothing_but_headers, zero_bytes, all_bad, required_column_missing, deleted_rows, events_of_other_days,
    names_that_look_like_patterns, a_manifest, no_bytes_of_the_format,
]  # fmt: skip


def no_newline_at_end(d: Deliveries) -> int:
    d.files[MIDDLE]["part.csv"] = d.files[MIDDLE].pop("part") and text(rows(MIDDLE))[:-1]
    return 1


def quoted_line_breaks(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": b'account_id,note,occurred_at\nA1,"one\ntwo",2024-03-01\nA2,"t""hree",2024-03-01\n'}
    return 5


def crlf(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)).replace(b"\n", b"\r\n")}
    d.files[DAYS[3]] = {"part.csv": text(rows(DAYS[3])).replace(b"\n", b"\r\n")}
    return 0


def a_carriage_return_in_a_value(d: Deliveries) -> int:
    """In a text that may hold none, of a file whose lines end in LF."""
    broken = text(rows(MIDDLE, 1, event_id="e9", user_id="U\r1")).partition(b"\n")[2]
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)) + broken}
    return 5


def byte_order_marks(d: Deliveries) -> int:
    d.files[DAYS[0]] = {"part.csv": b"\xef\xbb\xbf" + text(rows(DAYS[0]))}
    d.files[MIDDLE] = {"part.csv": b"\xef\xbb\xbf" + text(rows(MIDDLE))}
    return 0


def blank_lines(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)).replace(b"\n", b"\n\n", 2)}
    return 5


def too_few_and_too_many_fields(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)) + b"e9,A1\n" + b"e8" + b"," * 9 + b"\n"}
    return 5


def an_unclosed_quote(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)).replace(b"login", b'"login', 1)}
    return 5


def bytes_that_are_no_text(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": text(rows(MIDDLE)).replace(b"login", b"\xfflogin", 1)}
    return 5


def a_name_twice_in_the_header(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv": b"account_id,occurred_at,account_id\nA1,2024-03-01,A1\n"}
    return 1


def a_compressed_file_that_stops(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.csv.gz": gzip.compress(text(rows(MIDDLE, 500)))[:-20]}
    return 1


def a_parquet_file_that_stops(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.parquet": b"PAR1" + b"\0" * 50}
    return 1


def formats_mixed(d: Deliveries) -> int:
    d.files[DAYS[1]] = {"part.csv.gz": gzip.compress(text(rows(DAYS[1])))}
    d.files[MIDDLE] = {"part.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in rows(MIDDLE))}
    d.files[DAYS[3]] = {"part.tsv": text(rows(DAYS[3])).replace(b",", b"\t"), "more.csv": text(rows(DAYS[3]))}
    return 1


def a_name_with_two_endings(d: Deliveries) -> int:
    d.files[MIDDLE] = {"part.tsv.csv": text(rows(MIDDLE))}
    return 0


def parquet_of_other_types(d: Deliveries) -> int:
    moments = ["timestamp '2024-03-02 23:00:00'", "timestamptz '2024-03-02 23:00:00+00'", "date '2024-03-02'"]
    for day, moment in zip(DAYS[1:4], moments, strict=True):
        query = f"select 7 as event_id, 'A1'::blob as account_id, {moment} as occurred_at, 1.25::double as quantity"
        d.files[day] = {"part.parquet": as_parquet(duckdb.connect(), query)}
    return 0


SOME_FORMATS = [
    no_newline_at_end, quoted_line_breaks, crlf, a_carriage_return_in_a_value, byte_order_marks, blank_lines,
    too_few_and_too_many_fields, an_unclosed_quote, bytes_that_are_no_text, a_name_twice_in_the_header,
    a_compressed_file_that_stops, a_parquet_file_that_stops, parquet_of_other_types, formats_mixed,
    a_name_with_two_endings,
]  # fmt: skip


@pytest.fixture
def both(company, tmp_path, monkeypatch) -> Callable[..., Any]:
    """Reads what `company` has in landing together and, elsewhere, one by one; how many were left to the latter."""
    elsewhere = type(company)(tmp_path / "one-by-one", company.contracts)
    elsewhere.home.mkdir()
    (elsewhere.home / "landing").symlink_to(company.home / "landing")
    single: list[dt.date] = []
    read_delivery = ingest_module.read_delivery

    def counted(con, settings: Settings, task):
        if settings.home == company.home and task.delivery.extract == EVENTS:
            single.append(task.delivery.extract_date)
        return read_delivery(con, settings, task)

    monkeypatch.setattr(ingest_module, "read_delivery", counted)

    def read() -> int:
        elsewhere.contracts = company.contracts
        single.clear()
        first = company.ingest()
        with monkeypatch.context() as patch:
            patch.setattr(together, "batches", lambda tasks, _: ([task] for task in tasks))
            second = elsewhere.ingest()
        assert first == second
        assert kept(company.home) == kept(elsewhere.home)
        return len(single)

    return read


def kept(home: Path) -> dict[str, Any]:
    """Everything ingest leaves of usage, by its place: records as they are, Parquet files as their columns and rows."""
    places = [path for root in ("lake", "quarantine") for path in sorted((home / root / EVENTS).glob("*/*"))]
    return {str(path.relative_to(home)): path.read_text() if path.suffix == ".json" else table(path) for path in places}


def table(path: Path) -> tuple[list, list]:
    found = duckdb.execute(f"from read_parquet('{path}', hive_partitioning = false)")
    return [(column[0], str(column[1])) for column in found.description], sorted(found.fetchall(), key=repr)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("scenario", ALL_FORMATS)
def test_deliveries_of_every_format(company, both, kind, scenario):
    deliveries = Deliveries()
    left = scenario(deliveries)
    deliveries.land(company, kind)
    assert both() == left


@pytest.mark.parametrize("scenario", SOME_FORMATS)
def test_deliveries_of_one_format(company, both, scenario):
    deliveries = Deliveries()
    left = scenario(deliveries)
    deliveries.land(company, "csv")
    assert both() == left


def test_a_contract_in_another_encoding_leaves_its_texts_to_be_read_one_by_one(company, both):
    company.change(EVENTS, file=company.contracts[EVENTS].file.model_copy(update={"encoding": "cp932"}))
    deliveries = Deliveries()
    deliveries.files[MIDDLE] = {"part.csv": "account_id,event_name,occurred_at\nA1,髙島①,2024-03-01\n".encode("cp932")}
    deliveries.files[DAYS[3]] = {"part.parquet": encoded(rows(DAYS[3]), "parquet")}
    deliveries.land(company, "csv")
    assert both() == 4


@pytest.mark.parametrize("kind", FORMATS)
def test_a_contract_of_expressions(company, both, kind):
    ravenstack = load_contracts(SHIPPED_CONTRACTS / "ravenstack")[EVENTS]
    amended = ravenstack.model_copy(update={"where": "usage_count <> '0'"})
    company.contracts = {**company.contracts, EVENTS: amended}
    used = {"usage_id": "U", "subscription_id": "S1", "feature_name": "f", "usage_duration_secs": "60"}
    deliveries = Deliveries(
        {
            day: {
                "part": [
                    {**used, "usage_date": day, "usage_count": str(n), "error_count": "0"} for n in range(number + 1)
                ]
            }
            for number, day in enumerate(DAYS)
        }
    )
    deliveries.files[MIDDLE]["part"][1]["usage_date"] = "yesterday"
    deliveries.land(company, kind)
    assert both() == 1


def test_more_deliveries_than_are_read_at_once(company, both, monkeypatch):
    monkeypatch.setattr(together, "MOST_DELIVERIES", 2)
    Deliveries().land(company, "csv")
    assert both() == 1  # the fifth


def test_deliveries_that_change(company, both):
    """Corrected, withdrawn, refused and mended again: each time what the last reading left is replaced."""
    for scenario in (bad_rows, all_bad, plain):
        deliveries = Deliveries()
        scenario(deliveries)
        if scenario is all_bad:
            deliveries.files[DAYS[4]] = {}
        deliveries.land(company, "csv")
        both()
    assert company.quarantine(EVENTS) == []
    assert both() == 0


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, 1, 1], [[0, 1, 2]]),
        ([9, 9, 9], [[0], [1], [2]]),
        ([4, 4, 4], [[0, 1], [2]]),
        ([1, 99, 1], [[0], [1], [2]]),
        ([], []),
    ],
)
def test_a_large_delivery_is_alone(monkeypatch, weights, expected):
    monkeypatch.setattr(together, "MOST_BYTES", 10)
    monkeypatch.setattr(together, "_weight", lambda path: path)
    assert [[task.number for task in batch] for batch in together.batches(weighing(weights), 2)] == expected


@pytest.mark.parametrize(
    ("deliveries", "processors", "expected"),
    [(1, 2, [1]), (36, 2, [18, 16, 2]), (36, 1, [36]), (200, 2, [64, 64, 36, 18, 16, 2]), (200, 1, [64, 64, 64, 8])],
)
def test_every_processor_has_its_share_to_the_end(monkeypatch, deliveries, processors, expected):
    monkeypatch.setattr(together, "_weight", lambda path: path)
    found = list(together.batches(weighing([1] * deliveries), processors))
    assert [len(batch) for batch in found] == expected
    assert [task.number for batch in found for task in batch] == list(range(deliveries))


def weighing(weights):
    return [SimpleNamespace(number=n, delivery=SimpleNamespace(files=[weight])) for n, weight in enumerate(weights)]
