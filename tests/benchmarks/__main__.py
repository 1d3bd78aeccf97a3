"""`PYTHONPATH=tests python -m benchmarks`: run, growth, compare and table."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks import growth as growing
from benchmarks.benchmark import CASES, Parameters, benchmark, differences, work_folder
from benchmarks.company import LANDING_BYTES, ROOT, CannotRun
from benchmarks.compare import compare as compare_marts
from benchmarks.measure import CommandFailed
from benchmarks.tables import compared, markdown

RESULTS = ROOT / "build" / "benchmark"
TOOLS = ROOT / ".venv-bench" / "bin" / "python"
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class Explained(click.Group):
    """Turns the errors a user can act on into their message."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (CannotRun, CommandFailed) as error:
            raise click.ClickException(str(error)) from None


def shared_options(command: Callable) -> Callable:
    options = [
        click.option("--format", type=click.Choice(list(LANDING_BYTES)), default="parquet", show_default=True),
        click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, by turns."),
        click.option("--case", "cases", type=click.Choice(CASES), multiple=True, default=CASES, help="Default: all."),
        click.option(
            "--memory-limit", envvar="KEIZOKU_MEMORY_LIMIT", metavar="SIZE", help="Of the nightly job's DuckDB."
        ),
        click.option("--tools", type=FILE, default=TOOLS, help="Python with duckdb, numpy and pyarrow."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Explained, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The nightly job against bare DuckDB on the company of ../shared/bench.

    Works in a temporary folder, or in BENCH_HOME, where the generated extracts are kept.
    """


@main.command()
@click.option(
    "--scale", type=click.FloatRange(0, min_open=True), default=0.1, show_default=True, help="1: 10 M events."
)
@click.option("--months", type=click.IntRange(1), default=36, show_default=True)
@click.option("--out", type=FILE, help="The JSON file.  [default: build/benchmark/, named by the parameters]")
@shared_options
def run(scale: float, months: int, out: Path | None, **chosen: Any) -> None:
    """Measure both, compare their marts, print the table. Exit code 1 where a cell differs without a reason."""
    parameters = Parameters(scale=scale, months=months, **chosen)
    with work_folder() as work:
        document = benchmark(parameters, work, say)
    out = out or RESULTS / f"scale-{scale:g}-months-{months}-{parameters.format}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1))
    click.echo(markdown(document))
    click.echo(f"\n{out}")
    if differences(document):
        click.echo("\n".join(map(compared, document["comparisons"])))
        sys.exit(1)


@main.command()
@click.option("--scale", "scales", type=float, multiple=True, default=(0.1, 1, 10), show_default=True)
@click.option("--months", type=int, multiple=True, default=(12, 24, 36), show_default=True)
@click.option("--out", type=FOLDER, default=RESULTS / "growth", help="Folder of the JSON files, table and plot.")
@shared_options
def growth(scales: tuple[float, ...], months: tuple[int, ...], out: Path, **chosen: Any) -> None:
    """Measure the grid of scales and months; fit the exponents of time and memory; write table and plot."""
    base = Parameters(scale=scales[0], months=months[0], **chosen)
    with work_folder() as work:
        documents = growing.measure_grid(base, scales, months, work, out, say)
    found = growing.growth(documents)
    (out / "growth.json").write_text(json.dumps(found, indent=1))
    (out / "growth.md").write_text(growing.markdown(found) + "\n")
    growing.plot(out / "growth.json", out / "growth.svg", base.tools)
    click.echo(growing.markdown(found))
    click.echo(f"\n{out / 'growth.svg'}")
    if any(map(differences, documents)):
        raise click.ClickException(f"marts differ; `table` on the files in {out} shows where")


@main.command()
@click.argument("home", type=FOLDER)
@click.argument("work", type=FOLDER)
@click.argument("as_of", type=dt.date.fromisoformat)
@click.option("--json", "as_json", is_flag=True)
def compare(home: Path, work: Path, as_of: dt.date, as_json: bool) -> None:
    """Compare the release served in HOME with the reference's folder WORK, both as of AS_OF, cell by cell."""
    comparison = compare_marts(home, work, as_of)
    click.echo(json.dumps(comparison) if as_json else compared(comparison))
    if comparison["differences"]:
        sys.exit(1)


@main.command()
@click.argument("document", type=FILE)
@click.option("--markdown", "only_markdown", is_flag=True, help="Only the tables for the README.")
def table(document: Path, only_markdown: bool) -> None:
    """Print a JSON file of `run` or `growth` as tables."""
    found = json.loads(document.read_text())
    if "exponents" in found:
        click.echo(growing.markdown(found))
        return
    click.echo(markdown(found))
    if not only_markdown:
        click.echo("\n" + "\n".join(map(compared, found["comparisons"])))


BEGAN = time.monotonic()


def say(line: str) -> None:
    """A line of progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - BEGAN:7.1f} s  {line}", err=True)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
