"""Which figures of complete periods count as restated, cell by cell."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from dagster_project.publishing.allow_list import PublishedTable
from dagster_project.publishing.restatements import KEY, RESTATEMENT_COLUMNS, find_restatements
from dagster_project.settings import ConfigurationError

JANUARY, FEBRUARY, MARCH = (dt.date(2024, month, 1) for month in (1, 2, 3))
ENDS = {JANUARY: dt.date(2024, 1, 31), FEBRUARY: dt.date(2024, 2, 29), MARCH: dt.date(2024, 3, 31)}
AS_OF = dt.date(2024, 3, 10)
TOTAL = ("total", "all")
PLAN_A, PLAN_B = ("plan", "A"), ("plan", "B")
TABLE = "kpi_ltv"
FIGURES = "customers bigint, amount decimal(18,4), gross_margin double, ratio double, label varchar"


def row(start, segment=TOTAL, customers=0, amount=0, ratio=None, label="ok", *, as_of=AS_OF):
    return ("month", start, ENDS[start], ENDS[start] <= as_of, *segment, customers, amount, 1.0, ratio, label)


def write(connection, database, rows, as_of, figures=FIGURES, table=TABLE):
    key = "grain varchar, period_start date, period_end date, is_complete boolean"
    segment = "segment_dimension varchar, segment_value varchar"
    connection.execute(f"create table {database}.main.{table} ({key}, {segment}, {figures})")
    for each in rows:
        marks = ", ".join("?" * len(each))
        connection.execute(f"insert into {database}.main.{table} values ({marks})", each)
    connection.execute(f"create table {database}.main.meta_release as select cast(? as date) as as_of_date", [as_of])


@pytest.fixture
def compared(tmp_path):
    """`compared(previous rows, new rows)`: (period_start, column, segment, previous value, new value) of each
    restatement; None for the previous rows stands for a first release."""

    def compare(before, now, *, previous_as_of=AS_OF, figures=FIGURES, new_figures=FIGURES, table=TABLE, key=KEY):
        previous = tmp_path / "previous.duckdb"
        if before is not None:
            with duckdb.connect() as connection:
                connection.execute(f"attach '{previous}' as release")
                write(connection, "release", before, previous_as_of, figures, table)
        with duckdb.connect() as connection:
            connection.execute("attach ':memory:' as candidate")
            write(connection, "candidate", now, AS_OF, new_figures, table)
            tables = [PublishedTable(table, key, ())]
            find_restatements(connection, tables, "r2", AS_OF, None if before is None else previous)
            cursor = connection.execute("select * from restatements")
            assert [column[0] for column in cursor.description] == list(RESTATEMENT_COLUMNS)
            found = cursor.fetchall()
        assert {(grain, name, release) for grain, _, name, *_, release in found} <= {("month", table, "r2")}
        return [(start, column, (d, v), old, new) for _, start, _, column, d, v, old, new, _ in found]

    return compare


def test_the_table_is_empty_and_typed_before_there_is_anything_to_compare(compared):
    assert compared(None, [row(JANUARY, customers=3)]) == []


def test_the_same_figures_are_not_restated(compared):
    rows = [row(JANUARY, customers=3, amount=1, ratio=0.5), row(FEBRUARY)]
    assert compared(rows, rows) == []


def test_each_differing_figure_of_a_complete_period_is_one_row(compared):
    before = [row(JANUARY, customers=3, amount=300, ratio=0.5), row(FEBRUARY, customers=3)]
    now = [row(JANUARY, customers=4, amount="300.0001", ratio=0.5), row(FEBRUARY, customers=3)]
    assert compared(before, now) == [
        (JANUARY, "amount", TOTAL, 300, 300.0001),
        (JANUARY, "customers", TOTAL, 3, 4),
    ]


def test_a_figure_may_become_null_and_stop_being_null(compared):
    before = [row(JANUARY, customers=1, ratio=0.5), row(FEBRUARY, customers=1)]
    now = [row(JANUARY, customers=1), row(FEBRUARY, customers=1, ratio=0)]
    assert compared(before, now) == [(JANUARY, "ratio", TOTAL, 0.5, None), (FEBRUARY, "ratio", TOTAL, None, 0)]


@pytest.mark.parametrize(
    ("old", "new", "is_restated"),
    [(0.1 + 0.2, 0.3, False), (-1e9, -1e9 * (1 + 1e-13), False), (0.3, 0.3 * (1 + 1e-11), True), (0, 1e-300, True)],
)
def test_the_last_bits_of_a_floating_point_figure_are_no_restatement(compared, old, new, is_restated):
    assert old != new
    found = compared([row(JANUARY, customers=1, ratio=old)], [row(JANUARY, customers=1, ratio=new)])
    assert found == ([(JANUARY, "ratio", TOTAL, old, new)] if is_restated else [])


def test_the_running_period_and_one_that_was_running_are_not_compared(compared):
    was_running = dt.date(2024, 2, 20)
    before = [row(month, customers=1, as_of=was_running) for month in (JANUARY, FEBRUARY)]
    now = [row(month, customers=2) for month in (JANUARY, FEBRUARY, MARCH)]
    assert compared(before, now, previous_as_of=was_running) == [(JANUARY, "customers", TOTAL, 1, 2)]


def test_a_segment_of_one_release_is_restated_by_what_it_holds(compared):
    """Nothing but zeros says nothing: the grid is filled with every segment value ever seen."""
    both = [row(JANUARY, customers=2)]
    before = [*both, row(JANUARY, PLAN_A, customers=2), row(JANUARY, ("plan", "never used"))]
    now = [*both, row(JANUARY, PLAN_B, customers=2, amount=0, ratio=0.5), row(JANUARY, ("plan", "new"))]
    assert compared(before, now) == [
        (JANUARY, "customers", PLAN_A, 2, None),
        (JANUARY, "customers", PLAN_B, None, 2),
        (JANUARY, "ratio", PLAN_B, None, 0.5),
    ]


def test_a_period_before_the_first_one_of_the_other_release_is_compared(compared):
    january, february = row(JANUARY, customers=1), row(FEBRUARY, customers=1)
    assert compared([february], [january, february]) == [(JANUARY, "customers", TOTAL, None, 1)]


def test_a_table_that_is_emptied_is_restated(compared):
    assert compared([row(JANUARY, customers=1)], []) == [(JANUARY, "customers", TOTAL, 1, None)]


def test_a_table_that_was_empty_is_new(compared):
    assert compared([], [row(JANUARY, customers=1)]) == []


def test_a_column_of_one_release_is_not_compared(compared):
    renamed = FIGURES.replace("amount", "sum")
    before, now = [row(JANUARY, customers=1, amount=1)], [row(JANUARY, customers=2, amount=2)]
    assert compared(before, now, new_figures=renamed) == [(JANUARY, "customers", TOTAL, 1, 2)]


def test_what_is_no_figure_is_not_compared(compared):
    before = row(JANUARY, customers=1, label="short_history")
    assert before[8] == 1.0
    now = (*before[:8], 0.8, before[9], "ok")
    assert compared([before], [now]) == []


def test_a_sign_up_cohort_is_compared_once_nobody_can_join_the_onboarded_any_more(compared):
    figures = "new_accounts bigint, eligible_accounts bigint, onboarded_accounts bigint"

    def cohort(start, new, eligible, onboarded):
        return ("month", start, ENDS[start], True, *TOTAL, new, eligible, onboarded)

    before = [cohort(JANUARY, 9, 9, 4), cohort(FEBRUARY, 9, 3, 2)]
    now = [cohort(JANUARY, 9, 9, 5), cohort(FEBRUARY, 9, 6, 4)]
    found = compared(before, now, figures=figures, new_figures=figures, table="kpi_onboarding")
    assert found == [(JANUARY, "onboarded_accounts", TOTAL, 4, 5)]


def test_tables_with_another_key_repeat_figures_and_are_left_out(compared):
    key = ("metric_id", *KEY)
    assert compared([row(JANUARY, customers=1)], [row(JANUARY, customers=2)], key=key) == []


def test_a_served_release_that_cannot_be_read_is_named(tmp_path):
    previous = tmp_path / "previous.duckdb"
    previous.write_bytes(b"x" * 4096)
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as candidate")
        with pytest.raises(ConfigurationError, match=r"previous\.duckdb: expected the served release.*rollback"):
            find_restatements(connection, [], "r2", AS_OF, previous)
