"""The gate judges what Great Expectations says, and what it leaves unsaid."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dagster_project.quality import audit as audit_module
from dagster_project.quality.audit import audit, sha256_of
from dagster_project.quality.results import render_failures

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}
UNIQUE = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}
SECRET = "taro@example.jp"


@pytest.fixture
def database(tmp_path) -> Path:
    path = tmp_path / "a b%20$é.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table orders as select 1 as id, 5 as amount, ? as email union all select 2, null, 'x'", [SECRET]
        )
        connection.execute("create table nothing (id INTEGER, amount INTEGER)")
    return path


@pytest.fixture
def suites(tmp_path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    return folder


def write(folder: Path, table: str, expectations: list[dict], **meta) -> None:
    document = {"name": f"published/{table}", "meta": meta, "expectations": expectations}
    (folder / f"{table}.json").write_text(json.dumps(document), encoding="utf-8")


def sql(name: str, query: str, **more) -> dict:
    return {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": query},
        "meta": {"name": name},
        **more,
    }


def only_failure(report):
    (failure,) = report.failed_critical
    assert not report.is_accepted
    return failure


def test_results_count_and_keep_the_order_of_the_file(database, suites):
    write(
        suites,
        "orders",
        [UNIQUE, NOT_NULL, sql("is_small", "select 1 from {batch} where amount > 4", severity="warning")],
    )
    report = audit(database, suites, expected_tables=["orders"])
    assert [
        (r.expectation, r.column_name, r.severity, r.success, r.evaluated_rows, r.unexpected_count)
        for r in report.results
    ] == [
        ("expect_column_values_to_be_unique", "id", "critical", True, 2, 0),
        ("expect_column_values_to_not_be_null", "amount", "critical", False, 2, 1),
        ("unexpected_rows_expectation:is_small", None, "warning", False, 2, 1),
    ]
    assert (report.planned, report.evaluated, report.planned_critical, report.passed) == (3, 3, 2, 1)
    assert [r.expectation for r in report.warnings] == ["unexpected_rows_expectation:is_small"]
    assert report.audited_sha256 == sha256_of(database)
    assert not report.is_accepted


def test_a_repeated_key_is_counted_as_great_expectations_counts_it(database, suites):
    """Which it does itself where the expectation says more than the columns."""
    with duckdb.connect(str(database)) as connection:
        pairs = "(1, 'a'), (1, 'a'), (1, 'b'), (null, 'c'), (null, 'c'), (2, 'd'), (2, 'd'), (2, 'd'), (null, null)"
        connection.execute(f'create table pairs as select * from (values {pairs}) as t(id, "the ""name""")')
    columns = {"column_list": ["id", 'the "name"']}
    both = [
        {"type": "expect_compound_columns_to_be_unique", "kwargs": columns, "meta": {"name": "counted"}},
        {
            "type": "expect_compound_columns_to_be_unique",
            "kwargs": {**columns, "ignore_row_if": "any_value_is_missing"},
            "meta": {"name": "native"},
        },
    ]
    write(suites, "pairs", both)
    found = audit(database, suites, expected_tables=["pairs"]).results
    assert [(r.expectation.partition(":")[2], r.success, r.unexpected_count) for r in found] == [
        ("counted", False, 5),
        ("native", False, 5),
    ]
    with duckdb.connect(str(database)) as connection:
        connection.execute("delete from pairs where id is not null; insert into pairs values (1, 'a'), (2, 'a')")
    found = audit(database, suites, expected_tables=["pairs"]).results
    assert [(r.success, r.unexpected_count) for r in found] == [(True, 0), (True, 0)]


def test_a_failed_warning_is_no_refusal(database, suites):
    write(suites, "orders", [UNIQUE, {**NOT_NULL, "severity": "warning"}])
    assert audit(database, suites, expected_tables=["orders"]).is_accepted


def test_every_table_is_told_with_its_rows_before_it_is_audited(database, suites):
    write(suites, "orders", [UNIQUE])
    told = []
    audit(database, suites, expected_tables=["orders"], progress=told.append)
    assert told == ["auditing orders: 2 rows (1 of 1 tables)"]


def test_the_connections_keep_to_the_given_memory(database, suites):
    setting = "(select value from duckdb_settings() where name = 'memory_limit')"
    write(suites, "orders", [sql("memory", f"select 1 from {{batch}} where {setting} <> '95.3 MiB'")])
    assert audit(database, suites, expected_tables=["orders"], engine={"memory_limit": "100MB"}).is_accepted
    assert not audit(database, suites, expected_tables=["orders"], engine={"memory_limit": "200MB"}).is_accepted


def test_the_file_can_be_written_and_renamed_after_the_audit(database, suites):
    write(suites, "orders", [UNIQUE])
    audit(database, suites, expected_tables=["orders"])
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into orders values (1, 1, 'again')")
    assert only_failure(audit(database, suites, expected_tables=["orders"])).unexpected_count == 2


def test_an_empty_table_is_a_failure_of_every_expectation(database, suites):
    write(suites, "nothing", [UNIQUE, {**NOT_NULL, "severity": "warning"}])
    report = audit(database, suites, expected_tables=["nothing"])
    assert [(r.severity, r.success, r.observed_value) for r in report.results] == [
        ("critical", False, "not evaluated: table nothing has no rows")
    ] * 2
    assert (report.planned, report.evaluated) == (2, 0)


def test_an_empty_table_passes_where_its_suite_allows_it(database, suites):
    write(suites, "nothing", [UNIQUE, sql("none", "select 1 from {batch}")], allow_empty=True)
    report = audit(database, suites, expected_tables=["nothing"])
    assert report.is_accepted
    assert [r.evaluated_rows for r in report.results] == [0, 0]


def test_an_empty_suite_is_a_failure(database, suites):
    write(suites, "orders", [])
    assert only_failure(audit(database, suites, expected_tables=["orders"])).expectation == "suite_is_not_empty"


def test_no_suites_at_all_are_a_failure(database, suites):
    report = audit(database, suites, expected_tables=[])
    assert not report.is_accepted


def test_a_missing_table_is_a_failure(database, suites):
    write(suites, "orders", [UNIQUE])
    write(suites, "refunds", [UNIQUE])
    report = audit(database, suites, expected_tables=["orders", "refunds"])
    assert only_failure(report).observed_value == "not evaluated: table refunds is absent"
    assert (report.planned, report.evaluated) == (2, 1)


@pytest.mark.parametrize(("expected", "found"), [(None, "nothing"), (["orders", "refunds"], "refunds")])
def test_a_table_without_a_suite_is_a_failure(database, suites, expected, found):
    write(suites, "orders", [UNIQUE])
    failure = only_failure(audit(database, suites, expected_tables=expected))
    assert (failure.suite, failure.expectation) == (f"published/{found}", "table_has_suite")


def test_a_suite_that_was_asked_for_and_is_absent_is_a_failure(database, suites):
    report = audit(database, suites, tables={"published/orders": "orders"})
    assert only_failure(report).expectation == "suite_is_readable"


def test_an_error_in_an_expectation_is_a_critical_failure_even_of_a_warning(database, suites):
    write(suites, "orders", [UNIQUE, sql("broken", "select nope from {batch}", severity="warning")])
    failure = only_failure(audit(database, suites, expected_tables=["orders"]))
    assert failure.expectation == "unexpected_rows_expectation:broken"
    assert 'Referenced column "nope" not found' in failure.observed_value


def test_an_error_that_quotes_the_data_is_not_repeated(database, suites):
    write(suites, "orders", [sql("cast", "select 1 from {batch} where cast(email as integer) = 1")])
    report = audit(database, suites, expected_tables=["orders"])
    assert only_failure(report).observed_value.startswith("not evaluated:")
    assert SECRET not in repr(report) + render_failures(report)


def test_no_value_of_a_row_is_reported(database, suites):
    in_set = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "email", "value_set": ["x"]}}
    distinct = {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "email", "value_set": ["x"]}}
    write(suites, "orders", [in_set, distinct, sql("rows", "select email from {batch}")])
    report = audit(database, suites, expected_tables=["orders"])
    assert len(report.failed_critical) == 3
    assert SECRET not in repr(report) + render_failures(report)


def test_an_expectation_type_that_duckdb_cannot_run_is_a_failure(database, suites):
    write(
        suites,
        "orders",
        [UNIQUE, {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "email", "regex": "@"}}],
    )
    report = audit(database, suites, expected_tables=["orders"])
    assert only_failure(report).column_name == "email"
    assert (report.planned, report.evaluated) == (2, 1)


def test_a_result_that_is_left_out_is_a_failure(database, suites, monkeypatch):
    write(suites, "orders", [UNIQUE, {**NOT_NULL, "severity": "warning"}])
    real = audit_module._validate
    monkeypatch.setattr(audit_module, "_validate", lambda *args: {0: real(*args)[0]})
    report = audit(database, suites, expected_tables=["orders"])
    assert only_failure(report).observed_value == "not evaluated: Great Expectations returned no result for it"
    assert (report.planned, report.evaluated) == (2, 1)


def test_a_file_that_changes_during_the_audit_is_a_failure(database, suites, monkeypatch):
    write(suites, "orders", [UNIQUE])
    real = audit_module._validate

    def validate_while_someone_writes(*args):
        outcome = real(*args)
        with database.open("ab") as file:
            file.write(b"x")
        return outcome

    monkeypatch.setattr(audit_module, "_validate", validate_while_someone_writes)
    assert only_failure(audit(database, suites, expected_tables=["orders"])).expectation == "file_is_unchanged"


def _file(*expectations: dict) -> str:
    return json.dumps({"name": "published/orders", "expectations": expectations})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected an object with a list `expectations`"),
        ('{"name": "published/other", "expectations": []}', "found name 'published/other'"),
        (_file({"kwargs": {}}), "an object with a `type`"),
        (_file({**UNIQUE, "severity": "info"}), "found severity 'info'"),
        (_file(UNIQUE, UNIQUE), "found more than once"),
        (_file({**sql("a", "select 1 from {batch}"), "meta": {}}), "needs a short `meta.name`"),
        (_file(sql("a", "select 1 from orders")), "that reads {batch}"),
    ],
)
def test_a_suite_file_that_breaks_a_rule_is_a_failure(database, suites, content, found):
    (suites / "orders.json").write_text(content, encoding="utf-8")
    failure = only_failure(audit(database, suites, expected_tables=["orders"]))
    assert failure.expectation == "suite_is_readable"
    assert found in failure.observed_value and "orders.json" in failure.observed_value


def test_an_expectation_that_does_not_exist_is_a_failure(database, suites):
    write(suites, "orders", [{"type": "expect_miracles", "kwargs": {}}])
    assert only_failure(audit(database, suites, expected_tables=["orders"])).expectation == "expect_miracles"


def test_a_refusal_names_suite_expectation_column_found_expected_and_what_to_do(database, suites):
    described = {**NOT_NULL, "description": "an amount in every row", "meta": {"action": "ask the shop"}}
    write(suites, "orders", [UNIQUE, described])
    assert render_failures(audit(database, suites, expected_tables=["orders"])).split("\n\n")[1].splitlines() == [
        "published/orders: expect_column_values_to_not_be_null, column amount",
        "  found:    1 unexpected of 2 rows",
        "  expected: an amount in every row",
        "  to do:    ask the shop",
    ]


def test_nothing_is_rendered_where_nothing_failed(database, suites):
    write(suites, "orders", [UNIQUE])
    assert render_failures(audit(database, suites, expected_tables=["orders"])) == ""


def test_a_missing_file_is_an_error_of_the_caller(tmp_path, suites):
    with pytest.raises(FileNotFoundError):
        audit(tmp_path / "absent.duckdb", suites)


def test_great_expectations_is_imported_only_by_an_audit():
    modules = "dagster_project.quality.audit, dagster_project.quality.raw"
    code = f"import sys, {modules}; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_threads_that_need_great_expectations_together_import_it_once():
    code = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from dagster_project.quality.audit import load_great_expectations
together = Barrier(2)
def load(_):
    together.wait()
    return load_great_expectations()
with ThreadPoolExecutor(2) as pool:
    one, other = pool.map(load, range(2))
assert one is other
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_audit_connects_to_nothing_and_prints_nothing(database, suites, capfd, monkeypatch):
    connections = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connections.append(address))
    write(suites, "orders", [UNIQUE])
    assert audit(database, suites, expected_tables=["orders"]).is_accepted
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert connections == []
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
