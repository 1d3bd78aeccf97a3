"""The comparison itself: what it calls equal, what it excuses, and that it finds what differs."""

from __future__ import annotations

import duckdb
import pytest

from benchmarks.compare import EMPTY_ROW, Mart, Rule, compare_mart

WHY = "the reference counts from the other end"
MART = Mart(
    "kpi_x",
    ("m", "segment_value"),
    "from published_x",
    "from reference_x",
    rules=(Rule(WHY, ("customers",), "r.m = {complete} and p.customers = 7"),),
)


@pytest.fixture
def outcome():
    """`outcome(published, reference)`: rows of (m, segment_value, customers, mrr, rate) compared."""

    def run(published, reference, mart=MART):
        with duckdb.connect() as con:
            columns = "(m integer, segment_value text, customers bigint, mrr decimal(18, 4), rate double)"
            for name, rows in (("published_x", published), ("reference_x", reference)):
                con.execute(f"create table {name}{columns}")
                con.executemany(f"insert into {name} values (?, ?, ?, ?, ?)", rows)
            con.execute("create table lapsed as select 1 as m, 'Basic' as plan")
            return compare_mart(con, mart, now=25, complete=24)

    return run


ROW = (24, "all", 7, "10.0001", 0.5)


def but(**changed):
    names = ("m", "segment_value", "customers", "mrr", "rate")
    return tuple(changed.get(name, value) for name, value in zip(names, ROW, strict=True))


def test_equal_rows(outcome):
    found = outcome([ROW], [ROW])
    assert (found.cells, found.differences, found.excused) == (3, 0, {})


@pytest.mark.parametrize("changed", [{"mrr": "10.0002"}, {"rate": 0.5 + 1e-8}, {"rate": None}, {"customers": 8}])
def test_a_cell_that_differs_is_named(outcome, changed):
    found = outcome([but(**changed)], [ROW])
    assert (found.differences, found.excused) == (1, {})
    assert found.shown[0].startswith(f"kpi_x 2-01 all {next(iter(changed))}: published ")


def test_ratios_have_a_tolerance(outcome):
    assert outcome([but(rate=0.5 + 1e-10)], [ROW]).differences == 0


def test_two_empty_ratios_are_equal(outcome):
    assert outcome([but(rate=None)], [but(rate=None)]).differences == 0


def test_a_rule_excuses_its_cells_only(outcome):
    assert outcome([ROW], [but(customers=9)]).excused == {WHY: 1}
    elsewhere = outcome([but(m=23)], [but(m=23, customers=9)])
    assert (elsewhere.differences, elsewhere.excused) == (1, {})


def test_a_row_of_one_side_must_be_empty(outcome):
    empty = (23, "all", 0, 0, None)
    assert outcome([ROW, empty], [ROW]).excused == {EMPTY_ROW: 3}
    for published, reference in (([ROW, but(m=23)], [ROW]), ([ROW], [ROW, but(m=23)])):
        found = outcome(published, reference)
        assert found.differences == 3
        assert found.shown[0].startswith("kpi_x 1-12 all: only ")


def test_a_column_that_is_not_published_is_refused(outcome):
    narrow = Mart("kpi_x", MART.key, "select * exclude mrr from published_x", "from reference_x")
    with pytest.raises(ValueError, match=r"lacks \['mrr'\]"):
        outcome([ROW], [ROW], narrow)
    excused = Mart("kpi_x", MART.key, narrow.published, narrow.reference, left_out={"mrr": "not published"})
    assert outcome([ROW], [ROW], excused).cells == 2


def test_plans_told_apart_differently_are_compared_in_sum(outcome):
    plans = "select *, 'plan' as segment_dimension from {}_x"
    mart = Mart(
        "kpi_x", ("m", "segment_dimension", "segment_value"), plans.format("published"), plans.format("reference"),
        is_regrouped=True,
    )  # fmt: skip
    published = [(1, "Basic", 5, 10, 0.1), (1, "(unknown)", 2, 0, 0.2), (1, "Pro", 3, 30, 0.3)]
    reference = [(1, "Basic", 6, 10, 0.4), (1, "Free", 1, 0, 0.5), (1, "Pro", 3, 30, 0.3)]
    found = outcome(published, reference, mart)
    assert (found.differences, found.cells, sum(found.excused.values())) == (0, 2 * 2 + 1, 1)
    assert outcome(published, [*reference[:2], (1, "Pro", 4, 30, 0.3)], mart).differences == 1
    assert outcome(published, [(1, "Basic", 7, 10, 0.4), *reference[1:]], mart).differences == 1
