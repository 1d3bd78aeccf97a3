"""Excel workbooks: one sheet written out as delimited text, every record with its row number.

The text of a cell is its value and not its look: dates in ISO, whole numbers without a point, other numbers with the
15 digits that Excel knows, true and false. Leading zeros, percent signs and the like, which only a number format
shows, are not part of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from openpyxl.styles.numbers import is_datetime
from openpyxl.utils import get_column_letter

from dagster_project.extracts.careful import BrokenLine
from dagster_project.extracts.scan import DeliveryRefused, require_names

_FORMULA = re.compile(rb"<(\w+:)?f[ />]")
_LONGEST_TAG = 64  # bytes of the opening of a formula, which two chunks may share
_CHUNK = 1 << 20


def rewrite_sheet(
    path: Path, target: Path, *, name: str, sheet: str | None, days: frozenset[str]
) -> tuple[list[str], list[BrokenLine]]:
    """Write the records of a sheet to `target` (comma separated, row number first); the rows that are none are
    handed back, after the header, which is empty for an empty sheet.

    `sheet` may be None for a workbook of one sheet; `days` are the columns that are dates, of which a midnight is
    no part. Raises DeliveryRefused for what is no workbook, a sheet that is not there, or a header without names.
    """
    header, day_positions, broken = [], set(), []
    with target.open("w", encoding="utf-8", newline="") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl tells of pictures and the like that it leaves out
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, cells, formulas in _rows(path, name, sheet):
            texts = _texts(cells, day_positions)
            if number == 1:
                header, day_positions = texts, {i for i, column in enumerate(texts) if column in days}
                require_names(header, f"{name}, row 1")
            elif texts and not header:
                raise DeliveryRefused(f"{name}, row 1: found an empty row; expected the names of the columns")
            elif reason := _why_no_record(cells, formulas, len(texts), len(header)):
                broken.append(BrokenLine(number, json.dumps(texts, ensure_ascii=False), reason))
            elif texts:
                writer.writerow([number, *texts, *[""] * (len(header) - len(texts))])
    return header, broken


def _rows(path: Path, name: str, sheet: str | None) -> Iterator[tuple[int, Any, Any]]:
    """Number, cells with their values and cells with their formulas of every row, from 1 and empty ones included; the
    latter are read only where the workbook has formulas."""
    try:
        with ExitStack() as stack:
            sheets = []
            for is_value in (True, False) if _has_formulas(path) else (True,):
                book = stack.enter_context(closing(load_workbook(path, read_only=True, data_only=is_value)))
                sheets.append(_sheet(book, name, sheet))
            for number, rows in enumerate(zip(*(one.rows for one in sheets), strict=True), 1):
                yield number, rows[0], rows[-1]
    except (DeliveryRefused, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file makes the parsers of ZIP and XML raise
        raise DeliveryRefused(
            f"{name}: the file stops in the middle or is no Excel workbook ({type(error).__name__}); "
            "deliver it again in full"
        ) from None


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(_holds_formula(archive, part) for part in archive.namelist() if part.endswith(".xml"))


def _holds_formula(archive: zipfile.ZipFile, part: str) -> bool:
    with archive.open(part) as stream:
        end = b""
        while chunk := stream.read(_CHUNK):
            if _FORMULA.search(end + chunk):
                return True
            end = chunk[-_LONGEST_TAG:]
    return False


def _sheet(book: Any, name: str, wanted: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if wanted is None and len(sheets) == 1:
        (wanted,) = sheets
    if wanted not in sheets:
        what = "several sheets" if wanted is None else f"no sheet {wanted!r}"
        raise DeliveryRefused(
            f"{name}: found {what}, but {', '.join(map(repr, sheets))}; deliver the sheet that "
            "the contract names, or name another with file: {sheet: ...}"
        )
    sheets[wanted].reset_dimensions()  # what a workbook says of its size may be wrong
    return sheets[wanted]


def _why_no_record(cells: Any, formulas: Any, found: int, width: int) -> str | None:
    if found > width:
        return f"found a value in column {get_column_letter(found)}, expected {width} columns as in row 1"
    for cell, formula in zip(cells, formulas, strict=True):
        if cell.data_type == "e":
            return f"cell {cell.coordinate} holds the error {cell.value}"
        # one whose stored value is an empty text has the type of a text
        if formula.data_type == "f" and cell.value is None and cell.data_type != "str":
            return f"cell {formula.coordinate} holds a formula without its value; save the workbook in Excel"
    return None


def _texts(cells: Any, day_positions: set[int]) -> list[str]:
    """The texts of a row up to the last one that is not empty."""
    texts = [_text(cell, is_day=position in day_positions) for position, cell in enumerate(cells)]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _text(cell: Any, *, is_day: bool) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(Decimal(f"{value:.15g}"), "f")
    if isinstance(value, dt.datetime):
        is_date = value.time() == dt.time() and (is_day or is_datetime(cell.number_format) == "date")
        return value.date().isoformat() if is_date else value.isoformat(" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
