"""The one place that reads the environment: operator settings (KEIZOKU_*) and business settings.

Operator settings say where things lie; business settings (time zone, currency, fiscal year, ...) say
what the numbers mean. The latter are dbt vars with their defaults in `dbt/dbt_project.yml`, and
`KEIZOKU_VARS` names a YAML file merged over them, so that one install serves several companies.
"""

from __future__ import annotations

import os
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[1]
DBT_PROJECT = PROJECT_ROOT / "dbt"
EXPECTATIONS = PROJECT_ROOT / "expectations"
SHIPPED_CONTRACTS = PROJECT_ROOT / "dagster_project" / "contracts"

# A step of the onboarding that is counted in usage; without a number, once is enough.
EVENT_STEP = re.compile(r"event:(?P<event_name>(?:(?!>=).)+)(?:>=(?P<needed>[1-9][0-9]*))?")

SEGMENT_DIMENSIONS = ("plan", "product", "industry", "region", "company_size", "owner", "touch_tier")


class ConfigurationError(Exception):
    """A setting, a contract or the layout of the input is wrong; nothing was changed (exit code 2)."""


class QualityGateRefused(Exception):
    """The data did not pass a gate; the previous release is still served (exit code 3)."""


class LockHeld(Exception):
    """Another run holds the lock of this KEIZOKU_HOME (exit code 4)."""


class DiskFull(Exception):
    """There was no room for what had to be written; the previous release is still served (exit code 1)."""


class Settings(BaseSettings):
    """Operator settings, from environment variables with the prefix KEIZOKU_."""

    model_config = SettingsConfigDict(env_prefix="KEIZOKU_", extra="ignore")

    home: Path = Field(Path("data"), description="everything that is written lies below this folder")
    contracts: str = Field(
        "standard", description="extract contracts: the name of a shipped set (standard, ravenstack) or a folder"
    )
    vars: Path | None = Field(None, description="YAML file merged over the business settings of dbt/dbt_project.yml")
    targets: Path | None = Field(None, description="CSV file replacing the seed kpi_targets")
    threads: int | None = Field(None, ge=1, description="threads of DuckDB; default: all cores")
    memory_limit: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+)?\s*([KMGT]i?B|%)$",
        description="memory limit of DuckDB, such as 2GB; default: its own",
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser().resolve()
        if any("=" in part for part in path.parts):
            raise ValueError("a folder name=value of the path would be read as a column of its files; choose another")
        return path

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def quarantine(self) -> Path:
        return self.home / "quarantine"

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse" / "keizoku.duckdb"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def processors(self) -> int:
        """Threads that DuckDB may use: as given, else one for each core."""
        return self.threads or os.cpu_count() or 1

    @property
    def engine(self) -> dict[str, str]:
        """What a DuckDB connection may take of the machine, and where it puts what exceeds that: its configuration."""
        given = {"threads": self.threads, "memory_limit": self.memory_limit}
        return {
            "temp_directory": str(self.home / "warehouse" / "spill"),
            **{name: str(value) for name, value in given.items() if value},
        }

    @property
    def contracts_folder(self) -> Path:
        """The folder of extract contracts that `contracts` names.

        Raises ConfigurationError where it is neither a shipped set nor an existing folder.
        """
        shipped = SHIPPED_CONTRACTS / self.contracts
        folder = shipped if shipped.is_dir() else Path(self.contracts).expanduser().resolve()
        if not folder.is_dir():
            names = sorted(p.name for p in SHIPPED_CONTRACTS.iterdir() if p.is_dir())
            raise ConfigurationError(
                f"KEIZOKU_CONTRACTS={self.contracts!r}: expected a folder or one of {names}; found neither"
            )
        return folder


def load_settings() -> Settings:
    """The operator settings as the environment has them now.

    Raises ConfigurationError naming the variable, what was found and what was expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_explained(error, "environment variable KEIZOKU_", str.upper)) from None


Share = Annotated[float, Field(ge=0, le=1)]


class _Business(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Onboarding(_Business):
    """When an account counts as onboarded (KPI_SPEC section 3)."""

    steps: list[Annotated[str, Field(min_length=1)]]
    require: Literal["all", "any"]
    within_days: Annotated[int, Field(ge=0)]

    @field_validator("steps")
    @classmethod
    def _countable_events(cls, steps: list[str]) -> list[str]:
        for step in steps:
            if step.startswith("event:") and not EVENT_STEP.fullmatch(step):
                raise ValueError(f"{step!r} is no event:<event_name> or event:<event_name>>=n with n from 1")
        return steps


class TouchTiers(_Business):
    """How customers are ranked into tiers: by share of customers, or by amounts of expected LTV."""

    high_touch_share: Share
    low_touch_share: Share
    high_touch_amount: Annotated[float, Field(gt=0)] | None
    low_touch_amount: Annotated[float, Field(gt=0)] | None

    @model_validator(mode="after")
    def _ordered(self) -> TouchTiers:
        if self.low_touch_share < self.high_touch_share:
            raise ValueError("low_touch_share is cumulative and must not be below high_touch_share")
        if (self.high_touch_amount is None) != (self.low_touch_amount is None):
            raise ValueError("give both amounts or neither")
        if self.high_touch_amount is not None and self.low_touch_amount > self.high_touch_amount:
            raise ValueError("low_touch_amount must not be above high_touch_amount")
        return self


class BusinessSettings(_Business):
    """What the numbers mean: the dbt vars a company may set."""

    reporting_time_zone: str
    reporting_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    fiscal_year_start_month: Annotated[int, Field(ge=1, le=12)]
    gross_margin: Annotated[float, Field(gt=0, le=1)]
    small_sample: Annotated[int, Field(ge=1)]
    csat_threshold: Annotated[float, Field(gt=0)]
    segment_dimensions: list[Literal[SEGMENT_DIMENSIONS]]
    onboarding: Onboarding
    touch_tiers: TouchTiers

    @field_validator("reporting_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError(f"{value!r} is no IANA time zone such as Asia/Tokyo")
        return value


def load_business_settings(settings: Settings) -> BusinessSettings:
    """The defaults of dbt_project.yml with KEIZOKU_VARS merged over them, key by key.

    Raises ConfigurationError for an unreadable file, an unknown key or a value of the wrong type.
    """
    defaults = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"]
    known = set(BusinessSettings.model_fields)
    values = {key: value for key, value in defaults.items() if key in known}
    source = "dbt/dbt_project.yml"
    if settings.vars is not None:
        source = f"KEIZOKU_VARS={settings.vars}"
        values = _merged(values, _mapping_from(settings.vars))
    try:
        return BusinessSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_explained(error, f"{source}: ")) from None


def _mapping_from(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"KEIZOKU_VARS={path}: cannot be read as YAML: {error}") from None
    if not isinstance(given or {}, dict):
        raise ConfigurationError(f"KEIZOKU_VARS={path}: expected a mapping of settings, found {type(given).__name__}")
    return given or {}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(base[k], over[k]) for k in base.keys() & over.keys()
            if isinstance(base[k], dict) and isinstance(over[k], dict)}  # fmt: skip
    return {**base, **over, **both}


def _explained(error: ValidationError, prefix: str, spell=str) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = spell(".".join(str(part) for part in problem["loc"]))
        lines.append(f"{prefix}{where}: found {problem['input']!r}; {problem['msg']}")
    return "\n".join(lines)
