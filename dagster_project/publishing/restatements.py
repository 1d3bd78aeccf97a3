"""meta_restatements: figures of complete periods that differ from those of the release served until now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.publishing.allow_list import PublishedTable
from dagster_project.settings import ConfigurationError

RESTATEMENT_COLUMNS = {
    "grain": "varchar",
    "period_start": "date",
    "table_name": "varchar",
    "column_name": "varchar",
    "segment_dimension": "varchar",
    "segment_value": "varchar",
    "previous_value": "double",
    "new_value": "double",
    "release_id": "varchar",
}
# Tables with this key are compared. The others arrange the same figures anew: kpi_values and kpi_scorecard by metric,
# kpi_cohorts by first month.
KEY = ("grain", "period_start", "segment_dimension", "segment_value")
NO_FIGURES = ("gross_margin",)  # a setting, the same in every row
# Figures of a complete period that are still to grow are no restatement when they do.
UNSETTLED = {"kpi_onboarding": "eligible_accounts < new_accounts"}
# The last bits of a floating-point figure may depend on the order of its sums.
TOLERANCE = 1e-12


def find_restatements(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[PublishedTable],
    release_id: str,
    as_of: date,
    previous: Path | None,
) -> None:
    """Makes the temporary table `restatements` in a connection that has the complete candidate attached, and only
    reads that one.

    `previous` is the database of the served release, None before the first one. One row per figure (a column that
    holds numbers) of a period that is complete in both; a value is NULL where it is NULL or its row is absent. A row
    in one of the two counts where its figure is not 0; a table that was empty before is new and restates nothing.
    Raises ConfigurationError where `previous` cannot be read.
    """
    columns = ", ".join(f"{name} {kind}" for name, kind in RESTATEMENT_COLUMNS.items())
    connection.execute(f"create temp table restatements ({columns})")
    if previous is None:
        return
    _attach(connection, previous)
    for table in tables:
        if table.key == KEY and (figures := _figures(connection, table.name)):
            connection.execute(_comparison(table.name, figures), {"release_id": release_id, "as_of": as_of})
    connection.execute("detach previous")


def _attach(connection: duckdb.DuckDBPyConnection, previous: Path) -> None:
    try:
        connection.execute(f"attach '{previous}' as previous (read_only)")
    except duckdb.Error as error:
        raise ConfigurationError(
            f"{previous}: expected the served release, to compare with; found: {error}; "
            "`keizoku rollback` to a release that can be read"
        ) from None


def _figures(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, bool]:
    """The columns that hold numbers in both releases, and whether floating-point ones."""
    rows = connection.execute(
        "select column_name, bool_or(data_type = 'DOUBLE') from duckdb_columns() "
        "where table_name = ? and database_name in ('candidate', 'previous') and schema_name = 'main' "
        "group by column_name having count(*) = 2 and bool_and(numeric_precision is not null) "
        "order by min(column_index)",
        [table],
    )
    return {name: is_float for name, is_float in rows.fetchall() if name not in NO_FIGURES}


def _comparison(table: str, figures: dict[str, bool]) -> str:
    """The insert for one table: rows that differ anywhere are found first, and only those taken apart."""
    key = ", ".join(KEY)
    differs = {name: _differs(name, is_float) for name, is_float in figures.items()}
    cells = ", ".join(
        f"{{'name': '{name}', 'before': cast(b.{name} as double), 'now': cast(n.{name} as double), 'differs': {test}}}"
        for name, test in differs.items()
    )
    settled = f"is_complete and not ({UNSETTLED.get(table, 'false')})"
    periods = " union all ".join(
        f"select grain, period_start, period_end, {settled} as is_settled from {release}.main.{table}"
        for release in ("previous", "candidate")
    )
    return f"""
        insert into restatements
        with settled as (
            select grain, period_start from ({periods})
            where exists (from previous.main.{table})
            group by all
            having bool_and(is_settled)
                and max(period_end) <= (select least(min(as_of_date), $as_of) from previous.main.meta_release)
        ),
        b as (select * from previous.main.{table} semi join settled using (grain, period_start)),
        n as (select * from candidate.main.{table} semi join settled using (grain, period_start)),
        cells as (
            select {key}, unnest([{cells}]) as cell from b full join n using ({key})
            where {" or ".join(differs.values())}
        )
        select grain, period_start, '{table}', cell.name, segment_dimension, segment_value, cell.before, cell.now,
            $release_id
        from cells where cell.differs order by {key}, cell.name"""


def _differs(name: str, is_float: bool) -> str:
    """Whether a cell differs; in a row that only one release has, nothing is worth as much as 0."""
    within = f"abs(b.{name} - n.{name}) <= {TOLERANCE} * greatest(abs(b.{name}), abs(n.{name}))"
    return (
        f"(case when b.grain is null or n.grain is null then coalesce(b.{name}, n.{name}, 0) <> 0 "
        f"else b.{name} is distinct from n.{name}{f' and not coalesce({within}, false)' if is_float else ''} end)"
    )
