"""The `keizoku` command: thin, calls the same functions as the Dagster assets.

Heavy packages (dbt, Great Expectations) are imported by the commands that need them, so that the others answer at once.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from dagster_project.settings import (
    ConfigurationError,
    DiskFull,
    LockHeld,
    QualityGateRefused,
    Settings,
    load_business_settings,
    load_settings,
)

EXIT_CODES = {DiskFull: 1, ConfigurationError: 2, QualityGateRefused: 3, LockHeld: 4}


class ExitCodes(click.Group):
    """Turns the errors a user can act on into their message and exit code; any other one keeps its traceback."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except tuple(EXIT_CODES) as error:
            click.echo(f"keizoku: {error}", err=True)
            if isinstance(error, QualityGateRefused | DiskFull):
                click.echo(_still_served(), err=True)
            context.exit(EXIT_CODES[type(error)])


@click.group(cls=ExitCodes, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keizoku")
def main() -> None:
    """keizoku: from raw CRM and usage extracts to audited customer-success KPIs.

    Settings come from environment variables KEIZOKU_*; `keizoku config` prints them.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # Japanese names on a terminal that cannot show them


@main.command()
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Read only deliveries up to this date."
)
@click.option("--full-refresh", is_flag=True, help="Build from the whole lake, whatever the last build left.")
def nightly(as_of: datetime | None, full_refresh: bool) -> None:
    """Ingest what is new, build, audit, publish.

    Exit codes: 0 published; 3 a quality gate refused, the previous release is still served; 2 bad configuration or
    input layout; 4 another run holds the lock; 1 anything else.
    """
    from dagster_project.quality.process import AUDITS

    settings = load_settings()
    AUDITS.start()  # it imports what takes it longest while this process imports the rest
    from dagster_project.nightly import Night, run_night
    from dagster_project.progress import shown
    from dagster_project.transformation import TransformationFailed

    night = Night(settings, as_of.date() if as_of else None, full_refresh)
    try:
        with shown(Console(stderr=True)) as progress:
            release = run_night(night, progress)
    except (TransformationFailed, ChildProcessError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        AUDITS.stop()  # the shell's command leaves without the interpreter's shutdown
    _print_scorecard(night.settings)
    click.echo(f"tables  {night.settings.published / 'kpi.duckdb'}")
    click.echo(f"report  {night.settings.published / 'report' / 'index.html'}")
    click.echo(f"release {release.release_id}")


@main.command()
def config() -> None:
    """Print the operator settings and the business settings in force."""
    settings = load_settings()
    for name, value in sorted(settings.model_dump(mode="json").items()):
        click.echo(f"KEIZOKU_{name.upper()}={'' if value is None else value}")
    click.echo(f"contracts folder: {settings.contracts_folder}")
    for name, value in sorted(load_business_settings(settings).model_dump(mode="json").items()):
        click.echo(f"{name}: {value}")


@main.command()
def releases() -> None:
    """List the releases, newest first; the served one is marked."""
    from dagster_project.publishing.release import releases as known_releases
    from dagster_project.publishing.release import served_release

    settings = load_settings()
    served = served_release(settings)
    table = Table("", "release", "as of", "created", "planned", "passed", box=None)
    for release in reversed(known_releases(settings)):
        row, audit = release.manifest["release"], release.manifest["audit"]
        mark = "*" if served and release.release_id == served.release_id else ""
        table.add_row(
            mark, release.release_id, row["as_of_date"], row["created_at"][:19],
            str(audit["planned_critical"]), str(audit["passed"]),
        )  # fmt: skip
    if not table.row_count:
        click.echo(f"no release yet below {settings.releases}; `keizoku nightly` makes one")
        return
    Console(width=None if sys.stdout.isatty() else 110).print(table)


@main.command()
@click.argument("release_id")
def rollback(release_id: str) -> None:
    """Serve RELEASE_ID (one of `keizoku releases`) again."""
    from dagster_project.nightly import locked
    from dagster_project.publishing.release import rollback as point_back

    settings = load_settings()
    with locked(settings):
        release = point_back(settings, release_id)
    click.echo(f"{settings.published} now serves {release.release_id}")


@main.command()
@click.option(
    "--language", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Names of the metrics."
)
def scorecard(language: str) -> None:
    """Print the latest complete month's KPIs against the previous month and the year before."""
    _print_scorecard(load_settings(), language)


@main.command()
@click.argument("metric")
@click.argument("period")
@click.option("--segment", metavar="D=V", help="A segment instead of the total, as plan=pro.")
@click.option("--limit", type=click.IntRange(0), help="Accounts to print, 0 for all.  [default: 50; with --csv all]")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV, without the line of totals.")
def explain(metric: str, period: str, segment: str | None, limit: int | None, is_csv: bool) -> None:
    """Print the accounts behind a number of the served release: what each adds to METRIC in PERIOD.

    METRIC is a metric_id; PERIOD a label (2025-09, FY2025-Q2, FY2025), or a date for its month. The contributions add
    up to the published numerator and denominator exactly. Exit code 2 where nothing goes by that name, or the
    warehouse no longer holds what the release was built from.
    """
    from dagster_project.nightly import locked, served_from_warehouse
    from dagster_project.report.explain import as_csv, as_table
    from dagster_project.report.explain import explain as explained

    settings = load_settings()
    _served_database(settings)
    with locked(settings):
        release = served_from_warehouse(settings)
        explanation = explained(release.database, settings.warehouse, metric, period, segment)
    if is_csv:
        click.echo(as_csv(explanation, limit or 0), nl=False)
        return
    table = as_table(explanation, 50 if limit is None else limit)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@main.command()
@click.option("--accounts", type=click.IntRange(1), default=500, show_default=True)
@click.option("--months", type=click.IntRange(1), default=30, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--if-empty", is_flag=True, help="Do nothing where landing/ already holds something.")
def sample(accounts: int, months: int, seed: int, if_empty: bool) -> None:
    """Write the extracts of the sample company into landing/."""
    from dagster_project.sample import write_sample_company

    settings = load_settings()
    if settings.landing.is_dir() and any(settings.landing.iterdir()):
        if if_empty:
            return
        raise ConfigurationError(f"{settings.landing}: expected an empty folder; found files, and nothing was written")
    rows = write_sample_company(settings.landing, accounts=accounts, months=months, seed=seed)
    click.echo(
        f"sample company of {accounts} accounts and {months} months: {sum(rows.values()):,} rows in {settings.landing}"
    )


def _print_scorecard(settings: Settings, language: str = "en") -> None:
    from dagster_project.report.scorecard import scorecard as scorecard_table

    Console(width=None if sys.stdout.isatty() else 110).print(
        scorecard_table(_served_database(settings), language=language)
    )


def _served_database(settings: Settings):
    database = settings.published / "kpi.duckdb"
    if not database.is_file():
        raise ConfigurationError(f"{database}: found no release; `keizoku nightly` makes one")
    return database


def _still_served() -> str:
    from dagster_project.publishing.release import served_release

    served = served_release(load_settings())
    return f"still served: {served.release_id}" if served else "nothing is served yet"


def run() -> None:
    """The command as the shell starts it.

    It leaves without the interpreter's shutdown, which frees the models one by one for more than a second, and in which
    DuckDB's binding prints pages about what is still held, and Python a warning about what dbt's did not get to free.
    Files and connections were closed by whoever opened them.
    """
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    gc.disable()  # the first search after a night looks through all of the models, for a second
    code = 1
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    run()
