"""Values convert exactly or not at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pytest

from dagster_project.extracts.conversion import Zones, converted

TOKYO = Zones("Asia/Tokyo", "Asia/Tokyo")


def convert(value: str, kind: str, *, source_type="VARCHAR", format_=None, zones=TOKYO):
    sql = converted("v", source_type, kind, format_, zones)
    return duckdb.execute(f"set TimeZone = 'UTC'; select {sql} from (select {value} as v)").fetchone()[0]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "12", 12),
        ("integer", "-3", -3),
        ("integer", "12.0", 12),
        ("integer", "14.6", None),
        ("integer", "1,234", None),
        ("integer", "1_000", None),
        ("integer", "1e3", None),
        ("integer", "99999999999999999999", None),
        ("decimal", "1.5", Decimal("1.500000")),
        ("decimal", "0.1234560", Decimal("0.123456")),
        ("decimal", "0.1234567", None),
        ("decimal", "1000000000000", None),
        ("decimal", "12a", None),
        ("decimal", "1,234.5", None),
        ("decimal", "nan", None),
        ("date", "2024-02-29", dt.date(2024, 2, 29)),
        ("date", "2024-02-30", None),
        ("date", "2024/02/01", None),
        ("date", "infinity", None),
        ("timestamp", "2024-02-29", dt.datetime(2024, 2, 29)),
        ("timestamp", "2024-02-29 10:00", dt.datetime(2024, 2, 29, 10)),
        ("timestamp", "2024-02-29T10:00:01.25", dt.datetime(2024, 2, 29, 10, 0, 1, 250000)),
        ("timestamp", "2024-02-29T20:00:00Z", dt.datetime(2024, 3, 1, 5)),
        ("timestamp", "2024-02-29 20:00:00-05:00", dt.datetime(2024, 3, 1, 10)),
        ("timestamp", "2024-02-29 25:00:00", None),
        ("timestamp", "29.02.2024", None),
        ("boolean", "TRUE", True),
        ("boolean", "No", False),
        ("boolean", "0", False),
        ("boolean", "maybe", None),
    ],
)
def test_text_is_converted_strictly(kind, text, expected):
    assert convert(f"'{text}'", kind) == expected


@pytest.mark.parametrize(
    ("kind", "source_type", "value", "expected"),
    [
        ("integer", "DOUBLE", "14.6::double", None),
        ("integer", "DOUBLE", "14::double", 14),
        ("decimal", "DECIMAL(18,2)", "1.25::decimal(18,2)", Decimal("1.250000")),
        ("decimal", "DOUBLE", "0.1::double", Decimal("0.100000")),
        ("decimal", "DOUBLE", "1e-9::double", None),
        ("date", "TIMESTAMP", "timestamp '2024-01-02 00:00:00'", dt.date(2024, 1, 2)),
        ("date", "TIMESTAMP", "timestamp '2024-01-02 01:00:00'", None),
        ("timestamp", "TIMESTAMP WITH TIME ZONE", "timestamptz '2024-01-01 00:00:00+00'", dt.datetime(2024, 1, 1, 9)),
        ("text", "UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ],
)
def test_parquet_types_are_converted_strictly(kind, source_type, value, expected):
    assert convert(value, kind, source_type=source_type) == expected


def test_naive_timestamps_are_converted_from_the_zone_of_the_contract():
    zones = Zones("UTC", "Asia/Tokyo")
    assert convert("'2024-01-31 20:00:00'", "timestamp", zones=zones) == dt.datetime(2024, 2, 1, 5)
    assert convert("'2024-01-31'", "timestamp", zones=zones) == dt.datetime(2024, 1, 31)
    naive = "timestamp '2024-01-31 20:00:00'"
    assert convert(naive, "timestamp", source_type="TIMESTAMP", zones=zones) == dt.datetime(2024, 2, 1, 5)


def test_a_format_replaces_the_iso_form():
    assert convert("'2024年3月9日'", "date", format_="%Y年%m月%d日") == dt.date(2024, 3, 9)
    assert convert("'2024-03-09'", "date", format_="%Y/%m/%d") is None
    given = convert("'09/03/2024 10:00 +0000'", "timestamp", format_="%d/%m/%Y %H:%M %z")
    assert given == dt.datetime(2024, 3, 9, 19)
