"""Breaks the dbt project in the ways of mutants.yml, one at a time, and asks whether the tests of the KPIs notice.

Run it with `make mutation`, or with words after it for those mutants only whose file has one of them in its path. A
mutant is noticed where a random company's tables differ from the recomputation in plain Python, where an amount without
an exchange rate is not refused, or where a dbt unit test fails. Exit codes: 0 enough were noticed; 1 too few were, and
the survivors are listed; 2 the list cannot be used: a text is not where it should be, a mutant is no SQL, or the checks
fail on the project as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import duckdb
import yaml
from inprocess import UNUSUAL, CompiledProject, Tables, compile_project
from oracle import assert_same_tables, recomputed
from random_companies import Example, search, with_a_rate_of
from rich.console import Console
from rich.table import Table

from dagster_project.extracts.contract import load_contracts
from dagster_project.extracts.lake import write_empty_partitions
from dagster_project.settings import DBT_PROJECT, BusinessSettings, Settings, load_business_settings
from dagster_project.transformation import TransformationFailed, build, require_success, run_dbt

LIST = Path(__file__).with_name("mutants.yml")
PROCESSES = 2
COMPANIES = {5: 60, 1: 20}  # how many together: how many of them
ENOUGH, ENOUGH_SHARE = 38, 0.95
NO_SQL = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


class UnusableList(Exception):
    """The list of mutants does not fit the project."""


@dataclass(frozen=True)
class Mutant:
    """In `file` (below dbt/) the text `find`, which occurs `times` there, becomes `replace`; `why` it matters."""

    file: str
    find: str
    replace: str
    why: str
    times: int = 1

    def misfit(self, project: Path) -> str | None:
        """Why the mutant cannot be made of the project; None where it can."""
        if self.find == self.replace:
            return f"{self.file}: replaces the text by itself: {self.find!r}"
        file = project / self.file
        found = file.read_text().count(self.find) if file.is_file() else 0
        return (
            None if found == self.times else f"{self.file}: found {found} times, expected {self.times}: {self.find!r}"
        )


@dataclass(frozen=True)
class Verdict:
    """What noticed a mutant, which is None where nothing did, and after how many seconds."""

    mutant: Mutant
    noticed_by: str | None
    seconds: float


def load_mutants(project: Path = DBT_PROJECT) -> list[Mutant]:
    """The list, each mutant of which can be made of the project. Raises UnusableList naming those that cannot."""
    mutants = [Mutant(**entry) for entry in yaml.safe_load(LIST.read_text())]
    if misfits := [misfit for mutant in mutants if (misfit := mutant.misfit(project))]:
        raise UnusableList(f"{LIST.name}: texts to anchor anew\n" + "\n".join(misfits))
    return mutants


def main(words: list[str]) -> int:
    """Tries the mutants, prints a table, and returns the exit code."""
    for name in [name for name in os.environ if name.startswith("KEIZOKU_")]:
        del os.environ[name]  # a setting of the developer's own shell must not change what is found
    try:
        mutants = [m for m in load_mutants() if not words or any(word in m.file for word in words)]
        with tempfile.TemporaryDirectory() as folder:
            verdicts = judge_all(mutants, Path(folder))
    except UnusableList as problem:
        print(problem, file=sys.stderr)
        return 2
    survivors = [verdict for verdict in verdicts if verdict.noticed_by is None]
    show(verdicts, survivors)
    noticed = len(verdicts) - len(survivors)
    is_enough = noticed >= ENOUGH_SHARE * len(verdicts) and (words or noticed >= ENOUGH)
    return 0 if is_enough else 1


def judge_all(mutants: list[Mutant], folder: Path) -> list[Verdict]:
    """One verdict per mutant, in order. Raises UnusableList where the untouched project does not pass."""
    warehouse = built_from_nothing(folder / "empty")
    pool = ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"))
    try:
        untouched = pool.submit(noticed, folder, warehouse, None)
        verdicts = [pool.submit(judged, folder, warehouse, mutant) for mutant in mutants]
        if reason := untouched.result():
            raise UnusableList(f"the checks fail on the project as it is: {reason}")
        return [reported(verdict.result()) for verdict in verdicts]
    finally:
        pool.shutdown(cancel_futures=True)


def reported(verdict: Verdict) -> Verdict:
    print(".S"[verdict.noticed_by is None], end="", flush=True)
    return verdict


def show(verdicts: list[Verdict], survivors: list[Verdict]) -> None:
    table = Table(title=f"{len(verdicts) - len(survivors)} of {len(verdicts)} mutants noticed")
    for column in ("file", "why it matters", "noticed by", "seconds"):
        table.add_column(column, overflow="fold")
    for v in verdicts:
        table.add_row(v.mutant.file, v.mutant.why, v.noticed_by or "NOBODY", f"{v.seconds:.0f}")
    console = Console(width=140)
    console.print()
    console.print(table)
    for survivor in survivors:
        m = survivor.mutant
        console.print(f"survived: {m.file}: {m.find!r} -> {m.replace!r}", markup=False, highlight=False)


# --- in the processes -----------------------------------------------------------------------------------------------


def judged(folder: Path, warehouse: Path, mutant: Mutant) -> Verdict:
    started = time.perf_counter()
    return Verdict(mutant, noticed(folder, warehouse, mutant), time.perf_counter() - started)


def noticed(folder: Path, warehouse: Path, mutant: Mutant | None) -> str | None:
    """What notices a mutant, or the project as it is where there is none. Raises UnusableList where it is no SQL."""
    workshop = workshop_of(folder, warehouse)
    if mutant is None:
        return workshop.complaint(None)
    file = workshop.project / mutant.file
    text = file.read_text()
    file.write_text(text.replace(mutant.find, mutant.replace))
    try:
        return workshop.complaint(file.stem if file.suffix == ".sql" and "models" in file.parts else None)
    except (*NO_SQL, TransformationFailed, AssertionError) as error:
        raise UnusableList(f"{mutant.file}: no SQL: {mutant.replace!r}: {error}") from None
    finally:
        file.write_text(text)


@cache
def workshop_of(folder: Path, warehouse: Path) -> Workshop:
    """This process's own copy of the project."""
    home = folder / str(os.getpid())
    shutil.copytree(DBT_PROJECT, home / "dbt")
    shutil.copy(warehouse, home / "empty.duckdb")
    return Workshop(home)


@dataclass(frozen=True)
class Workshop:
    """A copy of the dbt project below `home`, and what dbt writes about it."""

    home: Path

    @property
    def project(self) -> Path:
        return self.home / "dbt"

    def complaint(self, model: str | None) -> str | None:
        """The first thing that is wrong with the project; with `model`, only its own unit tests are asked."""
        return self._difference(compile_project(self.home, UNUSUAL, self.project)) or self._failed_unit_test(model)

    def _difference(self, compiled: CompiledProject) -> str | None:
        for number, example in enumerate(examples()):
            try:
                found = compiled.run(example.lake, example.as_of)
                assert_same_tables(expected(number, compiled.business.model_dump_json()), found)
            except AssertionError as difference:
                return "cells of " + str(difference).partition(":")[0]
            except NO_SQL:
                raise
            except duckdb.Error as error:
                return f"error: {str(error).splitlines()[0][:60]}"
        return None if refuses(compiled) else "amount without a rate"

    def _failed_unit_test(self, model: str | None) -> str | None:
        variables = {"lake": "nothing is read", "warehouse": str(self.home / "empty.duckdb")}
        select = "test_type:unit" if model is None else f"{model},test_type:unit"
        options = ["--project-dir", self.project, "--profiles-dir", self.project, "--select", select]
        results = run_dbt("test", self.home / "unit_tests", variables, options=options)
        return next((f"unit test {r.name}" for r in results if r.status != "pass"), None)


@cache
def examples() -> list[Example]:
    """Random companies, the same ones in every process."""
    found: list[Example] = []
    for together, count in COMPANIES.items():
        search(found.append, count, together)
    return found


@cache
def expected(number: int, business: str) -> Tables:
    """The tables of an example as recomputed, once per process; `business` is JSON."""
    return recomputed(examples()[number], BusinessSettings.model_validate_json(business))


def refuses(compiled: CompiledProject) -> bool:
    example = with_a_rate_of(None)
    try:
        compiled.run(example.lake, example.as_of)
    except duckdb.Error:
        return True
    return False


def built_from_nothing(home: Path) -> Path:
    """A warehouse of an empty lake: it lends the unit tests its column types."""
    settings = Settings(home=home)
    settings.lake.mkdir(parents=True)
    with duckdb.connect() as connection:
        write_empty_partitions(connection, settings, load_contracts(settings.contracts_folder))
    require_success(build(settings, load_business_settings(settings), date(2024, 1, 31)))
    return settings.warehouse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
