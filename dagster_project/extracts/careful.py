"""Line by line reading of a text file that the fast reader cannot vouch for.

A broken line costs itself and no other one: an unterminated quote does not swallow what follows it. Good
records are written to a clean file with their line number in front; broken lines are handed back.
"""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

from dagster_project.extracts.scan import DeliveryRefused, raw_lines

_LONGEST_RECORD = 200  # physical lines that one record with line breaks inside quotes may span


@dataclass(frozen=True)
class BrokenLine:
    """A physical line that is no record."""

    line: int
    raw: str
    reason: str


@dataclass(frozen=True)
class _Record:
    line: int
    fields: list[str]


class _Pushback:
    """Physical lines that can be looked ahead at."""

    def __init__(self, lines: Iterator[tuple[int, bytes]]) -> None:
        self._lines = lines
        self._ahead: list[tuple[int, bytes]] = []

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while following := self.peek(1):
            self.drop(1)
            yield following[0]

    def peek(self, count: int) -> list[tuple[int, bytes]]:
        self._ahead += islice(self._lines, max(0, count - len(self._ahead)))
        return self._ahead[:count]

    def drop(self, count: int) -> None:
        del self._ahead[:count]


def rewrite_delimited(
    path: Path, target: Path, *, name: str, delimiter: str, width: int, multiline: frozenset[int]
) -> list[BrokenLine]:
    """Write the good records of a delimited file to `target` (comma separated, line number first).

    `width` is the number of fields of the header, `multiline` the positions that may hold line breaks.
    Raises DeliveryRefused where the last record is incomplete and has no line end: the file stops in the middle.
    """
    broken: list[BrokenLine] = []
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for item in _records(path, delimiter, width, multiline):
            if isinstance(item, _Record):
                writer.writerow([item.line, *item.fields])
            else:
                broken.append(item)
    _refuse_cut(path, name, broken)
    return broken


def rewrite_json_lines(path: Path, target: Path, *, name: str) -> list[BrokenLine]:
    """Write a file of JSON objects to `target` with every broken line left empty, so that line numbers stay.

    Raises DeliveryRefused where the last line is incomplete and has no line end.
    """
    broken: list[BrokenLine] = []
    with target.open("wb") as stream:
        for line, raw in raw_lines(path):
            reason = _why_no_object(raw)
            if reason:
                broken.append(BrokenLine(line, _shown(raw), reason))
                raw = b"\n"
            stream.write(raw.rstrip(b"\r\n") + b"\n")
    _refuse_cut(path, name, broken)
    return broken


def _records(path: Path, delimiter: str, width: int, multiline: frozenset[int]) -> Iterator[_Record | BrokenLine]:
    lines = _Pushback(raw_lines(path))
    for number, raw in lines:
        if number == 1 or not raw.strip(b"\r\n"):
            continue
        try:
            text = _decoded(raw)
            if '"' not in text:
                fields = text.split(delimiter)
            else:
                fields, following = _quoted(text, raw, lines, delimiter, width, multiline)
                lines.drop(following)
        except ValueError as error:
            yield BrokenLine(number, _shown(raw), str(error))
            continue
        if len(fields) == width:
            yield _Record(number, fields)
        else:
            yield BrokenLine(number, _shown(raw), f"found {len(fields)} fields, expected {width}")


def _quoted(
    text: str, raw: bytes, lines: _Pushback, delimiter: str, width: int, multiline: frozenset[int]
) -> tuple[list[str], int]:
    """Fields of a line with quotes, and how many further lines belong to it. Raises ValueError."""
    try:
        return _parsed([text], delimiter), 0
    except csv.Error as error:
        if "unexpected end of data" not in str(error):
            raise ValueError(f"broken quotes: {error}") from None
    if multiline:
        whole = raw
        for count, (_, following) in enumerate(lines.peek(_LONGEST_RECORD), 1):
            whole += following
            if b'"' not in following:
                continue
            try:
                fields = _parsed(io.StringIO(_decoded(whole), newline=""), delimiter)
            except (csv.Error, ValueError):
                continue
            if len(fields) == width and all(i in multiline for i, one in enumerate(fields) if "\n" in one):
                return fields, count
            break
    raise ValueError("a quote is not closed on its line")


def _parsed(lines: Iterable[str], delimiter: str) -> list[str]:
    records = list(csv.reader(lines, delimiter=delimiter, strict=True))
    if len(records) != 1:
        raise ValueError("more than one record")
    return records[0]


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 text: {error.reason} at byte {error.start + 1}") from None


def _why_no_object(raw: bytes) -> str | None:
    text = raw.strip()
    if not text:
        return None
    try:
        value = json.loads(text.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return None if isinstance(value, dict) else f"found a JSON {type(value).__name__}, expected an object"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _refuse_cut(path: Path, name: str, broken: list[BrokenLine]) -> None:
    if not broken:
        return
    last, raw = deque(raw_lines(path), maxlen=1)[0]
    if not raw.endswith(b"\n") and broken[-1].line == last:
        raise DeliveryRefused(
            f"{name}, line {last:,}: the file stops in the middle: {broken[-1].reason}; deliver it again in full"
        )


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", errors="backslashreplace").rstrip("\r\n")
