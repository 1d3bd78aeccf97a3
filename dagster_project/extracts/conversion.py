"""SQL that turns a delivered value into a canonical one, strictly: what does not convert exactly is NULL.

Pure text building. A value arrives either as text (CSV, JSON lines) or as its Parquet type; a type that
has no exact counterpart goes through its text.
"""

from __future__ import annotations

from dataclasses import dataclass

from dagster_project.extracts.sql import literal

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
_NAIVE_TIMESTAMPS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_ZONED_TIMESTAMPS = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS WITH TIME ZONE"}

_DAY = r"\d{4}-\d{2}-\d{2}"
_NAIVE = _DAY + r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_OFFSET = r"(Z|[+-]\d{2}(:?\d{2})?)"

EXPECTED = {
    "text": "a text",
    "integer": "a whole number",
    "decimal": "a decimal of at most 12 digits before and 6 after the point",
    "date": "a date YYYY-MM-DD",
    "timestamp": "a timestamp YYYY-MM-DD HH:MM:SS",
    "boolean": "true or false",
}


@dataclass(frozen=True)
class Zones:
    """Time zone of naive timestamps as delivered, and the reporting time zone they are converted to."""

    delivered: str
    reporting: str

    def local(self, naive: str) -> str:
        """SQL of a naive delivered timestamp in the reporting time zone."""
        if self.delivered == self.reporting:
            return naive
        return f"({naive} at time zone {literal(self.delivered)}) at time zone {literal(self.reporting)}"

    def shifted(self, zoned: str) -> str:
        """SQL of a timestamp with a time zone as wall clock in the reporting time zone."""
        return f"({zoned}) at time zone {literal(self.reporting)}"


def expected(kind: str, format_: str | None) -> str:
    """What a value of the type must look like, for messages."""
    return f"a {kind} in the format {format_}" if format_ else EXPECTED[kind]


def converted(value: str, source_type: str, kind: str, format_: str | None, zones: Zones) -> str:
    """SQL of `value` (a column reference) as canonical type `kind`; NULL where it is no such value."""
    builder = {
        "text": _text,
        "integer": _integer,
        "decimal": _decimal,
        "date": _date,
        "timestamp": _timestamp,
        "boolean": _boolean,
    }[kind]
    return builder(value, source_type, format_, zones)


def _as_text(value: str, source_type: str) -> str:
    return value if source_type == "VARCHAR" else f"cast({value} as varchar)"


def _text(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    return _as_text(value, source_type)


def _integer(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    if source_type in _INTEGERS:
        return f"try_cast({value} as bigint)"
    text = _as_text(value, source_type)
    return rf"case when regexp_full_match({text}, '[+-]?\d+(\.0*)?') then try_cast({text} as bigint) end"


def _decimal(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    if source_type in _INTEGERS or (source_type.startswith("DECIMAL") and int(source_type[:-1].split(",")[1]) <= 6):
        return f"try_cast({value} as decimal(18,6))"
    text = _as_text(value, source_type)
    shape = r"[+-]?(\d+(\.\d{0,6}0*)?|\.\d{1,6}0*)"
    return f"case when regexp_full_match({text}, '{shape}') then try_cast({text} as decimal(18,6)) end"


def _date(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    if source_type == "DATE":
        return f"case when isfinite({value}) then {value} end"
    if source_type in _NAIVE_TIMESTAMPS:
        return f"case when {value} = date_trunc('day', {value}) then cast({value} as date) end"
    text = _as_text(value, source_type)
    if format_:
        return f"cast(try_strptime({text}, {literal(format_)}) as date)"
    return f"case when regexp_full_match({text}, '{_DAY}') then try_cast({text} as date) end"


def _timestamp(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    if source_type in _NAIVE_TIMESTAMPS:
        return zones.local(f"cast({value} as timestamp)")
    if source_type in _ZONED_TIMESTAMPS:
        return zones.shifted(f"cast({value} as timestamptz)")
    if source_type == "DATE":
        return f"cast({value} as timestamp)"
    text = _as_text(value, source_type)
    if format_:
        parsed = f"try_strptime({text}, {literal(format_)})"
        return zones.shifted(parsed) if "%z" in format_ or "%Z" in format_ else zones.local(parsed)
    # A date without a time is a calendar day, whatever the zone: midnight of that day.
    return f"""case
        when regexp_full_match({text}, '{_NAIVE}') then {zones.local(f"try_cast({text} as timestamp)")}
        when regexp_full_match({text}, '{_DAY}') then try_cast({text} as timestamp)
        when regexp_full_match({text}, '{_NAIVE}{_OFFSET}') then {zones.shifted(f"try_cast({text} as timestamptz)")}
    end"""


def _boolean(value: str, source_type: str, format_: str | None, zones: Zones) -> str:
    if source_type == "BOOLEAN":
        return value
    return f"""case lower({_as_text(value, source_type)})
        when 'true' then true when 't' then true when 'yes' then true when 'y' then true when '1' then true
        when 'false' then false when 'f' then false when 'no' then false when 'n' then false when '0' then false
    end"""
