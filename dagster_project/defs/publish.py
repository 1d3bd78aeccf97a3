"""The last two assets: the candidate that is audited, and the release that is served."""

import io
from collections.abc import Iterable, Mapping

import dagster as dg
from rich.console import Console

from dagster_project import nightly, transformation
from dagster_project.defs.ingest import DELIVERIES
from dagster_project.defs.resources import NightResource
from dagster_project.publishing.allow_list import published_tables
from dagster_project.publishing.release import Release
from dagster_project.report.scorecard import scorecard
from dagster_project.settings import load_settings

CANDIDATE = dg.AssetKey("candidate")
RELEASE = dg.AssetKey("release")


def candidate_asset(tables: Iterable[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=CANDIDATE,
        deps=[*(dg.AssetKey(["marts", table]) for table in tables), DELIVERIES],
        group_name="release",
        kinds={"duckdb"},
    )
    def candidate(context: dg.AssetExecutionContext, night: NightResource) -> dg.MaterializeResult:
        """The marts and the meta tables in one file, as they would be published; the publish gate audits it."""
        built = nightly.build_candidate(night.night(), context.log.info)
        size = built.database.stat().st_size
        return dg.MaterializeResult(metadata={"file": dg.MetadataValue.path(built.database), "bytes": size})

    return candidate


@dg.asset(key=RELEASE, deps=[CANDIDATE], group_name="release", kinds={"duckdb", "parquet"})
def release(context: dg.AssetExecutionContext, night: NightResource) -> dg.MaterializeResult:
    """The tables and the report that are served. Refuses a candidate whose audit is missing, old or failed."""
    published = nightly.publish(night.night(), context.log.info)
    return dg.MaterializeResult(
        metadata={
            "release_id": published.release_id,
            "as_of_date": published.manifest["release"]["as_of_date"],
            "tables": dg.MetadataValue.path(published.database),
            "report": dg.MetadataValue.path(published.report),
            "rows": dg.MetadataValue.md(rows_table(published.manifest["tables"])),
            "scorecard": dg.MetadataValue.md(scorecard_text(published)),
        }
    )


def rows_table(rows: Mapping[str, int]) -> str:
    """Rows per table, in Markdown."""
    return "\n".join(
        ["| table | rows |", "| --- | ---: |", *(f"| {name} | {n:,} |" for name, n in sorted(rows.items()))]
    )


def scorecard_text(published: Release) -> str:
    """The scorecard as the terminal shows it, as a block of Markdown."""
    console = Console(file=io.StringIO(), width=100)
    console.print(scorecard(published.database))
    return f"```\n{console.file.getvalue().rstrip()}\n```"


@dg.definitions
def defs() -> dg.Definitions:
    manifest = transformation.prepared_manifest(load_settings())
    tables = [table.name for table in published_tables(manifest)]
    return dg.Definitions(assets=[candidate_asset(tables), release])
