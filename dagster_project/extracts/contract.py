"""Extract contracts: what a delivered extract must look like and how its columns become canonical ones.

A contract is one YAML file, `<system>/<extract>.yml`. Those of `standard` say what an extract is (key,
types, what is refused). A contract of another folder for the same extract maps a delivered file to it:
it says only where the values come from, and adds no column. Extracts that `standard` does not know are
contracts of their own.
"""

from __future__ import annotations

import hashlib
import json
import re
import zoneinfo
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dagster_project.extracts.expressions import Binder, ExpressionRefused
from dagster_project.extracts.located_yaml import LocatedYaml
from dagster_project.settings import SHIPPED_CONTRACTS, ConfigurationError

STANDARD = SHIPPED_CONTRACTS / "standard"

SQL_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(18,6)",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
}
SYSTEM_COLUMNS = {"_extra": "VARCHAR", "_file": "VARCHAR", "_row": "BIGINT"}

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
ColumnType = Literal["text", "integer", "decimal", "date", "timestamp", "boolean"]
Share = Annotated[float, Field(ge=0, le=1)]
_DATE_OF = re.compile(r"^date\((\w+)\)$")
_PLAIN_NAME = re.compile(r"^[^\W\d]\w*$")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class FileFormat(_Part):
    """How to read the delivered files; the format itself follows from the ending of the file name.

    `sheet` is the one of an Excel workbook that is read; without it a workbook must have one sheet only.
    """

    pattern: str = "*"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str = "utf-8"
    sheet: str | None = None
    last_line_may_end_open: bool = False

    @property
    def is_utf8(self) -> bool:
        return self.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")


class Limits(_Part):
    """Shares above or below which a delivery is refused; deliveries of fewer rows than `from_rows` are not judged."""

    max_quarantined_share: Share = 0.05
    min_rows_share: Annotated[float, Field(ge=0)] | None = None
    max_rows_share: Annotated[float, Field(gt=0)] | None = None
    from_rows: Annotated[int, Field(ge=1)] = 100

    @property
    def compares(self) -> bool:
        """Whether the volume is judged against the delivery before."""
        return self.min_rows_share is not None or self.max_rows_share is not None


class Rule(_Part):
    """A row for which `when` (SQL over canonical columns) is true is refused."""

    when: str
    column: str
    because: str


class ColumnSource(_Part):
    """Where one canonical column comes from."""

    name: Name
    from_: Annotated[str | None, Field(alias="from")] = None
    format: str | None = None
    default: str | int | float | bool | None = None


class Column(ColumnSource):
    """One canonical column. `pii` has no default: the class of every column is a decision."""

    type: ColumnType
    required: bool = False
    pii: Literal["none", "business", "personal"]
    values: Annotated[list[str], Field(min_length=1)] | None = None
    multiline: bool = False


class _Delivered(_Part):
    """What a mapping may say as well as a contract of its own."""

    in_place_changes: Literal["restate", "from_delivery"] = "restate"
    inclusive_end_dates: bool = False
    optional: bool = False
    expected: Literal["daily"] | None = None
    manifest: Literal["none", "required"] = "none"
    source: Annotated[str, Field(pattern=r"^\w+/\w+$")] | None = None
    source_columns: Annotated[list[str], Field(min_length=1)] | None = None
    keep: list[str] = []
    where: str | None = None
    file: FileFormat = FileFormat()
    time_zone: str | None = None
    limits: Limits = Limits()
    refuse: list[Rule] = []


class MappedColumn(ColumnSource):
    """A canonical column of `standard` as a mapping states it: what `standard` says may be repeated or tightened."""

    type: ColumnType | None = None
    required: bool | None = None
    pii: Literal["none", "business", "personal"] | None = None
    values: Annotated[list[str], Field(min_length=1)] | None = None
    multiline: bool | None = None


class Mapping(_Delivered):
    """A contract that maps a delivered file to an extract of `standard`; what `standard` fixes may be repeated."""

    mode: Literal["snapshot", "delta"] | None = None
    key: list[str] | None = None
    whole_row_without: str | None = None
    newer_by: str | None = None
    columns: list[MappedColumn] = []


class Contract(_Delivered):
    """One extract: its canonical columns, its key, what is refused, and how it is delivered."""

    mode: Literal["snapshot", "delta"]
    key: Annotated[list[str], Field(min_length=1)]
    whole_row_without: str | None = None
    newer_by: str | None = None
    columns: Annotated[list[Column], Field(min_length=1)]
    extract: str = ""
    absent: list[str] = []
    expression_types: dict[str, str] = {}

    @property
    def system(self) -> str:
        return self.extract.split("/")[0]

    @property
    def name(self) -> str:
        return self.extract.split("/")[1]

    @property
    def landing_name(self) -> str:
        """The `<system>/<extract>` whose landing folder holds the files."""
        return self.source or self.extract

    @property
    def schema_types(self) -> dict[str, str]:
        """Columns of the lake files in order, with their DuckDB types."""
        return {column.name: SQL_TYPES[column.type] for column in self.columns} | SYSTEM_COLUMNS

    @property
    def hash(self) -> str:
        """SHA-256 of everything the contract says; comments and order of keys do not count."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def is_expression(self, column: ColumnSource) -> bool:
        """Whether the column's `from` is SQL rather than the name of a delivered column."""
        given = column.from_
        return given is not None and given not in (self.source_columns or []) and not _PLAIN_NAME.match(given)

    def source_name(self, column: ColumnSource) -> str | None:
        """Name of the delivered column that `column` is, or None for an expression or a column never delivered."""
        if column.name in self.absent or self.is_expression(column):
            return None
        return column.from_ or column.name

    @property
    def has_expressions(self) -> bool:
        return bool(self.where) or any(self.is_expression(column) for column in self.columns)


def key_column(part: str) -> tuple[str, bool]:
    """Column of one part of a key, and whether only its date counts: `date(occurred_at)` -> ("occurred_at", True)."""
    dated = _DATE_OF.match(part)
    return (dated.group(1), True) if dated else (part, False)


def load_contracts(folder: Path) -> dict[str, Contract]:
    """All contracts in force for `folder`, by `<system>/<extract>`, sorted.

    The extracts of `standard` that the folder does not have are added as optional, never delivered ones,
    so that everything downstream finds every canonical extract.
    Raises ConfigurationError, `file:line: reason`.
    """
    own = sorted(folder.glob("*/*.yml"))
    if not own:
        raise ConfigurationError(f"{folder}: expected contracts <system>/<extract>.yml; found none")
    _refuse_strays(folder, own)
    binder = Binder()
    is_standard = folder.resolve() == STANDARD.resolve()
    base = {} if is_standard else {_extract_of(p): _load_own(p, binder) for p in sorted(STANDARD.glob("*/*.yml"))}
    contracts = {name: contract.model_copy(update={"optional": True}) for name, contract in base.items()}
    for path in own:
        name = _extract_of(path)
        contracts[name] = _load_mapping(path, base[name], binder) if name in base else _load_own(path, binder)
    return dict(sorted(contracts.items()))


def contracts_hash(contracts: dict[str, Contract]) -> str:
    """SHA-256 over all contracts in force."""
    joined = "\n".join(f"{name} {contracts[name].hash}" for name in sorted(contracts))
    return hashlib.sha256(joined.encode()).hexdigest()


def _extract_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _refuse_strays(folder: Path, known: list[Path]) -> None:
    for path in sorted(folder.rglob("*.y*ml")):
        if path not in known:
            raise ConfigurationError(f"{path}:1: expected contracts at <system>/<extract>.yml below {folder}; move it")


def _load_own(path: Path, binder: Binder) -> Contract:
    document = LocatedYaml(path)
    _refuse_derived(document)
    contract = _validated(Contract, document)
    return _checked(contract.model_copy(update={"extract": _extract_of(path)}), document, binder)


def _load_mapping(path: Path, base: Contract, binder: Binder) -> Contract:
    document = LocatedYaml(path)
    mapping = _validated(Mapping, document)
    for key in ("mode", "key", "whole_row_without", "newer_by"):
        if key in mapping.model_fields_set and getattr(mapping, key) != getattr(base, key):
            raise document.error((key,), _fixed(key, getattr(mapping, key), getattr(base, key)))
    given = {}
    names = [column.name for column in base.columns]
    for index, source in enumerate(mapping.columns):
        if source.name not in names:
            raise document.error(
                ("columns", index, "name"), f"{base.extract} has no column {source.name!r}; expected one of {names}"
            )
        _check_restated(source, base.columns[names.index(source.name)], document, index)
        given[source.name] = {name: getattr(source, name) for name in source.model_fields_set}
    columns = [column.model_copy(update=given.get(column.name, {})) for column in base.columns]
    stated = {name: getattr(mapping, name) for name in mapping.model_fields_set}
    rules = [*base.refuse, *(rule for rule in mapping.refuse if rule not in base.refuse)]
    stated |= {"columns": columns, "refuse": rules}
    return _checked(base.model_copy(update=stated), document, binder)


def _check_restated(source: MappedColumn, base: Column, document: LocatedYaml, index: int) -> None:
    """A mapping may require, class or restrict a column more strictly than `standard` does, never less."""
    classes = ["none", "business", "personal"]
    is_allowed = {
        "type": lambda: source.type == base.type,
        "required": lambda: source.required or not base.required,
        "pii": lambda: source.pii is not None and classes.index(source.pii) >= classes.index(base.pii),
        "values": lambda: source.values is not None and set(source.values) <= set(base.values or source.values),
        "multiline": lambda: source.multiline == base.multiline,
    }
    for key in is_allowed.keys() & source.model_fields_set:
        if not is_allowed[key]():
            found, fixed = getattr(source, key), getattr(base, key)
            raise document.error(("columns", index, key), _fixed(f"{source.name}.{key}", found, fixed))


def _fixed(name: str, found: Any, fixed: Any) -> str:
    return f"{name}: found {found!r}; the standard contract fixes it at {fixed!r}"


def _refuse_derived(document: LocatedYaml) -> None:
    for key in ("extract", "absent", "expression_types"):
        if key in document.content:
            raise document.error((key,), f"unknown key {key!r}")


def _validated(model: type[_Part], document: LocatedYaml) -> Any:
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    location = tuple(part for part in problem["loc"])
    spelled = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        raise document.error(location, f"unknown key {spelled!r}")
    if problem["type"] == "missing":
        raise document.error(location, f"key {spelled!r} is missing")
    raise document.error(location, f"{spelled}: found {problem['input']!r}; {problem['msg']}")


def _checked(contract: Contract, document: LocatedYaml, binder: Binder) -> Contract:
    _check_names(contract, document)
    contract = contract.model_copy(update={"absent": _absent(contract, document)})
    return contract.model_copy(update={"expression_types": _bound(contract, document, binder)})


def _check_names(contract: Contract, document: LocatedYaml) -> None:
    names = [column.name for column in contract.columns]
    _refuse_repeated(names, document, "columns")
    references: list[tuple[tuple[str | int, ...], str]] = [
        (("key", index), key_column(part)[0]) for index, part in enumerate(contract.key)
    ]
    references += [((key,), getattr(contract, key)) for key in ("newer_by", "whole_row_without")]
    references += [(("refuse", index, "column"), rule.column) for index, rule in enumerate(contract.refuse)]
    for location, name in references:
        if name is not None and name not in names:
            raise document.error(location, f"there is no column {name!r}; expected one of {names}")
    delivered = contract.source_columns or []
    _refuse_repeated([name.lower() for name in delivered], document, "source_columns")
    for index, name in enumerate(contract.keep):
        if name not in delivered:
            raise document.error(("keep", index), f"{name!r} is not among source_columns")
    if contract.time_zone is not None and contract.time_zone not in zoneinfo.available_timezones():
        raise document.error(("time_zone",), f"found {contract.time_zone!r}; expected an IANA time zone")
    _check_encoding(contract, document)


def _check_encoding(contract: Contract, document: LocatedYaml) -> None:
    try:
        "".encode(contract.file.encoding)
    except LookupError:
        reason = f"found {contract.file.encoding!r}; expected an encoding such as utf-8 or cp932"
        raise document.error(("file", "encoding"), reason) from None


def _refuse_repeated(names: Iterable[str], document: LocatedYaml, key: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise document.error((key, index), f"{key} names {name!r} twice")
        seen.add(name)


def _absent(contract: Contract, document: LocatedYaml) -> list[str]:
    """Canonical columns that `source_columns` says are never delivered."""
    if contract.source_columns is None:
        return []
    absent = []
    for column in contract.columns:
        if contract.is_expression(column) or (column.from_ or column.name) in contract.source_columns:
            continue
        location = _column_location(document, column.name)
        if column.from_ is not None:
            raise document.error((*location, "from"), f"{column.from_!r} is not among source_columns")
        if column.required:
            reason = f"required column {column.name!r} is neither among source_columns nor given a `from`"
            raise document.error(location, reason)
        absent.append(column.name)
    return absent


def _bound(contract: Contract, document: LocatedYaml, binder: Binder) -> dict[str, str]:
    """DuckDB types of the columns that are expressions; every expression of the contract is bound on the way."""
    if contract.has_expressions and contract.source_columns is None:
        location = ("where",) if contract.where else ("columns",)
        raise document.error(location, "source_columns is missing: SQL over delivered columns must say what they are")
    delivered = dict.fromkeys(contract.source_columns or [], "VARCHAR")
    types = {}
    for column in contract.columns:
        if contract.is_expression(column):
            location = (*_column_location(document, column.name), "from")
            types[column.name] = _bind(binder, column.from_, delivered, document, location)
    if contract.where:
        _bind(binder, contract.where, delivered, document, ("where",), "BOOLEAN")
    canonical = {column.name: SQL_TYPES[column.type] for column in contract.columns}
    stated_rules = [rule.get("when") for rule in document.content.get("refuse", [])]
    for rule in contract.refuse:
        location = ("refuse", stated_rules.index(rule.when) if rule.when in stated_rules else 0, "when")
        _bind(binder, rule.when, canonical, document, location, "BOOLEAN")
    return types


def _bind(
    binder: Binder,
    expression: str,
    columns: dict[str, str],
    document: LocatedYaml,
    location: tuple[str | int, ...],
    expected: str | None = None,
) -> str:
    try:
        kind = binder.bind(expression, columns)
    except ExpressionRefused as error:
        raise document.error(location, f"expression {expression!r} {error}") from None
    if expected and kind != expected:
        raise document.error(location, f"expression {expression!r} is {kind}; expected {expected}")
    return kind


def _column_location(document: LocatedYaml, name: str) -> tuple[str | int, ...]:
    for index, column in enumerate(document.content.get("columns", [])):
        if column["name"] == name:
            return ("columns", index)
    return ("columns",)
