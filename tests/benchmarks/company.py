"""The benchmark company: its extracts by the generator of ../shared/bench, and the settings that fit them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT.parent / "shared" / "bench"
FIRST_DAY = dt.date(2023, 1, 1)
LAST_NIGHT = 59  # the generator writes that many days after the last one
EVENTS_AT_SCALE_1 = 10_000_000  # in 36 months

# What the reference has built in. Everything else it has in common with the defaults of dbt_project.yml: JPY, a gross
# margin of 1.0, a CSAT threshold of 4; timestamps without a zone are in the reporting time zone for both.
ONBOARDING_STEPS = ("account_created", "kickoff_call", "sso_setup", "data_import", "first_dashboard", "invite_team",
                    "integration_live", "go_live")  # fmt: skip
BUSINESS_SETTINGS = {"onboarding": {"steps": list(ONBOARDING_STEPS), "require": "all", "within_days": 90}}

# Bytes on disk per event, measured with 36 months: the generated files (small extracts included), then what stands
# beside them: lake, warehouse and reference of each full build, and one release per published night.
LANDING_BYTES = {"parquet": 31, "csv": 125, "csv.gz": 48}
BUILT_BYTES, RELEASE_BYTES = 60, 13
SPARE = 1.5  # for what DuckDB spills


class CannotRun(Exception):
    """The benchmark cannot run here; the message says what is missing."""


def require_bench() -> None:
    """Raises CannotRun where the generator and the reference are absent."""
    for name in ("generate.py", "reference.py"):
        if not (BENCH / name).is_file():
            raise CannotRun(f"{BENCH / name}: not found; the benchmark needs ../shared/bench beside the checkout")


def require_tools(python: Path) -> None:
    """Raises CannotRun where `python` cannot run the generator."""
    command = [python, "-c", "import duckdb, numpy, pyarrow"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        why = done.stderr.strip().splitlines()[-1:] if done.returncode else None
    except OSError as error:
        why = [str(error)]
    if why is not None:
        raise CannotRun(f"{python}: {' '.join(why)}; `make .venv-bench/.installed` makes the environment it needs")


@dataclass(frozen=True)
class Company:
    """The extracts below `folder`/landing at one scale, over so many months from 2023-01, in one format."""

    folder: Path
    scale: float
    months: int
    format: str
    python: Path  # runs generate.py

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def last_day(self) -> dt.date:
        """The last day of the months, as of which the full build is made."""
        after = FIRST_DAY.year * 12 + self.months
        return dt.date(after // 12, after % 12 + 1, 1) - dt.timedelta(days=1)

    def require_space(self, builds: int, releases: int) -> None:
        """Raises CannotRun where the disk has no room for the extracts and both contenders' output."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        needed = bytes_needed(self.scale, self.months, self.format, builds, releases)
        if self._is_generated():
            needed -= landing_bytes(self.scale, self.months, self.format)
        if free < needed:
            raise CannotRun(
                f"{self.folder}: found {free / 1e9:.1f} GB of free disk; scale {self.scale:g} over {self.months} months"
                f" as {self.format} needs about {needed / 1e9:.1f} GB; set BENCH_HOME to a larger disk"
            )

    def generate(self) -> None:
        """Writes the extracts up to the last day, where they are not there already."""
        if not self._is_generated():
            shutil.rmtree(self.landing, ignore_errors=True)
            self._run_generator()
            self._mark().write_text(json.dumps(self._parameters()))

    def generate_day(self, day: dt.date) -> None:
        """Adds what arrives on one of the days after the last one."""
        self._run_generator("--day", day.isoformat())

    def bytes(self) -> int:
        """The size of the extracts."""
        return sum(path.stat().st_size for path in self.landing.rglob("*") if path.is_file())

    def settings_file(self) -> Path:
        """The file for KEIZOKU_VARS that makes the marts comparable."""
        path = self.folder / "vars.yml"
        path.write_text(yaml.safe_dump(BUSINESS_SETTINGS))
        return path

    def _run_generator(self, *more: str) -> None:
        options = [f"--{name}={value}" for name, value in self._parameters().items()]
        command = [self.python, BENCH / "generate.py", *options, "--out", self.folder, *more]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise CannotRun(f"{BENCH / 'generate.py'}: exit code {done.returncode}\n{done.stderr[-3000:]}")

    def _is_generated(self) -> bool:
        return self._mark().is_file() and json.loads(self._mark().read_text()) == self._parameters()

    def _mark(self) -> Path:
        return self.folder / "generated.json"

    def _parameters(self) -> dict[str, str | int | float]:
        return {"scale": self.scale, "months": self.months, "format": self.format}


def landing_bytes(scale: float, months: int, format: str) -> float:
    """About what the generator writes."""
    return _events(scale, months) * LANDING_BYTES[format]


def bytes_needed(scale: float, months: int, format: str, builds: int, releases: int) -> float:
    """About the disk that extracts and both contenders take, with so many full builds and releases of them."""
    built = _events(scale, months) * (BUILT_BYTES * builds + RELEASE_BYTES * releases) * SPARE
    return landing_bytes(scale, months, format) + built + 2e8


def _events(scale: float, months: int) -> float:
    return EVENTS_AT_SCALE_1 * scale * months / 36
