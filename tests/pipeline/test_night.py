"""Whole nights on small companies: what is published, what is refused, and what stays served."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from conftest import Company, files_no_larger_than

from dagster_project import nightly, transformation
from dagster_project.cli import main
from dagster_project.publishing import candidate, release
from dagster_project.settings import DBT_PROJECT, DiskFull, QualityGateRefused, Settings

ACCOUNT_HEADER = "account_id,account_name,industry,region,company_size,owner,created_at,is_test,community_touch\n"
SUBSCRIPTION_HEADER = (
    "subscription_id,account_id,product,plan,quantity,amount,currency,billing_interval,billing_interval_count,"
    "start_date,end_date,is_trial\n"
)
ACCOUNTS = ACCOUNT_HEADER + "".join(
    f"A{i},Company {i},IT,Kanto,1-10,csm_1,2024-01-01 09:00:00,false,false\n" for i in range(1, 4)
)
SUBSCRIPTIONS = SUBSCRIPTION_HEADER + "".join(
    f"S{i},A{i},core,Basic,1,100,,month,1,2024-01-0{i},,false\n" for i in range(1, 4)
)
LONG = pytest.mark.long
TOTAL = "grain = 'month' and segment_dimension = 'total'"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    company = Company(Settings(home=tmp_path_factory.mktemp("template") / "home"))
    company.deliver("crm/accounts", "2024-03-31", ACCOUNTS)
    company.deliver("crm/subscriptions", "2024-03-31", SUBSCRIPTIONS)
    company.night()
    return company


@pytest.fixture
def served(template, company):
    """A company with one release: three customers of 100 a month, as of 2024-03-31."""
    shutil.copytree(template.home, company.home, symlinks=True, dirs_exist_ok=True)
    return company


@pytest.fixture
def keizoku(monkeypatch):
    """`keizoku(company, *words)`: the command's exit code and output."""

    def run(company, *words):
        monkeypatch.setenv("KEIZOKU_HOME", str(company.home))
        outcome = CliRunner().invoke(main, words)
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome.exit_code, outcome.output + outcome.stderr

    return run


def release_id(company) -> str:
    return Path(os.readlink(company.settings.published)).name


def parquet_holds(company, table):
    exported = duckdb.execute(f"from '{company.settings.published}/parquet/{table}.parquet'").fetchall()
    return sorted(map(repr, exported)) == sorted(map(repr, company.query(f"from {table}")))


def test_a_night_publishes_tables_parquet_report_and_manifest(served):
    folder = served.settings.published
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["tables"]["kpi_mrr"] == len(served.rows("kpi_mrr")) > 0
    for table, rows in manifest["tables"].items():
        assert duckdb.execute(f"select count(*) from '{folder}/parquet/{table}.parquet'").fetchone() == (rows,)
        assert parquet_holds(served, table), table
    assert "Customer success KPIs" in (folder / "report" / "index.html").read_text()
    assert served.value(f"select closing_mrr from kpi_mrr where {TOTAL} and period_label = '2024-03'") == 300


def test_the_published_file_opens_with_an_old_storage_version(served):
    with (served.settings.published / "kpi.duckdb").open("rb") as file:
        header = file.read(20)
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # the version number of v1.0.0 files


def test_two_nights_on_the_same_input_publish_identical_tables(served):
    first = {t: served.rows(t) for (t,) in served.query("select table_name from information_schema.tables")}
    before = release_id(served)
    served.night()
    assert release_id(served) != before
    assert len(first) >= 12
    for table, rows in first.items():
        if table != "meta_release":
            assert served.rows(table) == rows, table
    assert served.value("select previous_release_id from meta_release") == before


def test_a_home_built_anew_publishes_identical_tables(served, tmp_path):
    anew = type(served)(served.settings.model_copy(update={"home": tmp_path / "anew"}))
    shutil.copytree(served.settings.landing, anew.settings.landing)
    anew.night()
    for (table,) in served.query("select table_name from information_schema.tables"):
        if table != "meta_release":
            assert anew.rows(table) == served.rows(table), table


def test_a_subscription_of_an_unknown_account_keeps_its_mrr(company, keizoku):
    company.deliver("crm/accounts", "2024-03-31", ACCOUNTS)
    company.deliver(
        "crm/subscriptions", "2024-03-31", SUBSCRIPTIONS + "S9,A999,core,Basic,1,50,,month,1,2024-01-05,,false\n"
    )
    code, output = keizoku(company, "nightly")
    assert code == 0, output
    assert (
        "warning: raw/crm/subscriptions: expected the account of every row is in the accounts extract; found" in output
    )
    unknown = "grain = 'month' and period_label = '2024-03' and segment_value = '(unknown)'"
    assert company.value(f"select closing_mrr from kpi_mrr where {unknown} and segment_dimension = 'region'") == 50
    assert company.query("select region, current_mrr from dim_accounts where account_id = 'A999'") == [
        ("(unknown)", Decimal(50))
    ]
    assert company.query(
        "select severity, success, unexpected_count from meta_quality_results "
        "where suite = 'raw/crm/subscriptions' and expectation like '%:account_is_known'"
    ) == [("warning", False, 1)]


def test_a_test_account_is_in_no_figure(company):
    company.deliver("crm/accounts", "2024-02-29", ACCOUNTS)
    tested = "A3,Company 3,IT,Kanto,1-10,csm_1,2024-01-01 09:00:00,{}"
    company.deliver("crm/accounts", "2024-03-31", ACCOUNTS.replace(tested.format("false"), tested.format("true")))
    company.deliver("crm/subscriptions", "2024-03-31", SUBSCRIPTIONS)
    company.night()
    assert company.value(f"select sum(customers) from kpi_mrr where {TOTAL}") == 6
    assert company.query("select account_id from dim_accounts order by 1") == [("A1",), ("A2",)]


# exit codes


def test_exit_2_for_a_folder_no_contract_knows(served, keizoku):
    served.deliver("crm/leads", "2024-03-31", "id\n1\n")
    code, output = keizoku(served, "nightly")
    assert code == 2
    assert "crm/leads" in output


def test_exit_2_for_a_business_setting_that_does_not_exist(served, keizoku, monkeypatch, tmp_path):
    (tmp_path / "vars.yml").write_text("gros_margin: 0.8\n")
    monkeypatch.setenv("KEIZOKU_VARS", str(tmp_path / "vars.yml"))
    code, output = keizoku(served, "nightly")
    assert code == 2
    assert "gros_margin" in output


def test_exit_2_without_any_delivery(company, keizoku):
    code, output = keizoku(company, "nightly")
    assert code == 2
    assert "crm/accounts" in output


def test_exit_4_while_another_run_holds_the_lock(served, keizoku):
    with (served.home / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, output = keizoku(served, "nightly")
    assert code == 4
    assert "another run" in output
    assert keizoku(served, "nightly")[0] == 0


# gates: each refuses bad data, and the release before stays served


def refused(served, keizoku, *expected: str) -> str:
    before, tables = release_id(served), served.rows("kpi_mrr")
    code, output = keizoku(served, "nightly")
    assert code == 3, output
    for words in (*expected, f"still served: {before}"):
        assert words in output
    assert release_id(served) == before
    assert served.rows("kpi_mrr") == tables
    return output


def test_the_contract_gate_refuses_a_snapshot_without_a_required_column(served, keizoku):
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS.replace(",amount,", ",price,"))
    refused(served, keizoku, "crm/subscriptions 2024-04-30", "part.csv", "required column amount is missing")


@pytest.mark.parametrize("content", ["", SUBSCRIPTION_HEADER], ids=["zero_bytes", "header_only"])
def test_the_contract_gate_refuses_a_snapshot_that_would_empty_the_table(served, keizoku, content):
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", content)
    refused(served, keizoku, "crm/subscriptions")


def test_the_contract_gate_refuses_a_file_that_stops_in_the_middle(served, keizoku):
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS[:-25])
    refused(served, keizoku, "part.csv", "4")


def test_the_raw_gate_refuses_half_a_snapshot_before_dbt_starts(served, keizoku):
    def many(n):
        return SUBSCRIPTION_HEADER + "".join(f"S{i},A1,core,Basic,1,100,,month,1,2024-01-01,,false\n" for i in range(n))

    served.deliver("crm/subscriptions", "2024-03-31", many(60))
    served.night()
    built = (served.home / "warehouse" / "keizoku.duckdb").stat().st_mtime_ns
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", many(20))
    refused(served, keizoku, "raw/crm/subscriptions", "not_half_of_previous_delivery")
    assert (served.home / "warehouse" / "keizoku.duckdb").stat().st_mtime_ns == built


def test_the_transformation_refuses_a_second_currency_without_rates(served, keizoku):
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver(
        "crm/subscriptions", "2024-04-30", SUBSCRIPTIONS + "S9,A1,core,Basic,1,50,USD,month,1,2024-04-05,,false\n"
    )
    refused(served, keizoku, "no exchange rate for USD on 2024-04-30")


def test_a_failing_dbt_test_refuses(served, keizoku, monkeypatch):
    import dagster_project.transformation as transformation

    served.deliver("crm/accounts", "2024-03-31", ACCOUNTS.replace("Kanto", "Kansai"))
    build = transformation.run_dbt

    def with_a_failure(*arguments, **options):
        results = build(*arguments, **options)
        failed = next(r for r in results if r.resource_type == "test")
        broken = type(failed)(**{**vars(failed), "status": "fail", "failures": 2})
        return [broken if r is failed else r for r in results]

    monkeypatch.setattr(transformation, "run_dbt", with_a_failure)
    refused(served, keizoku, "dbt tests failed", "2 failing rows")


@pytest.mark.parametrize(
    ("table", "breakage", "expectation"),
    [
        ("kpi_mrr", "closing_mrr = closing_mrr + 1", "published/kpi_mrr"),
        # one by one in tests/unit/quality; here only that the gate holds the night up
        pytest.param("kpi_churn", "churned_customers = opening_customers + 1", "published/kpi_churn", marks=LONG),
        pytest.param("kpi_nrr", "grr = 1.5", "published/kpi_nrr", marks=LONG),
        pytest.param("fct_account_periods", "movement = 'upsell'", "published/fct_account_periods", marks=LONG),
    ],
)
def test_the_publish_gate_refuses_a_broken_candidate(served, keizoku, monkeypatch, table, breakage, expectation):
    build = candidate.build_candidate

    def broken(*arguments, **options):
        made = build(*arguments, **options)
        with duckdb.connect(str(made.database)) as connection:
            connection.execute(f"update {table} set {breakage}")
        return made

    monkeypatch.setattr(candidate, "build_candidate", broken)
    refused(served, keizoku, expectation)


def test_the_publisher_refuses_a_candidate_changed_after_its_audit(served, keizoku, monkeypatch):
    from dagster_project import nightly

    audit = nightly.audit_candidate

    def then_tampered(night, *rest):
        report = audit(night, *rest)
        with duckdb.connect(str(nightly.candidate.candidate_of(night.settings).database)) as connection:
            connection.execute("update kpi_mrr set arpa = 1")
        return report

    monkeypatch.setattr(nightly, "audit_candidate", then_tampered)
    refused(served, keizoku, "audit this very file")


def test_the_publisher_refuses_a_candidate_without_an_audit(served, keizoku, monkeypatch):
    from dagster_project import nightly

    monkeypatch.setattr(nightly, "audit_candidate", lambda *_: None)
    refused(served, keizoku, "was not audited")


def test_parquet_files_are_written_once_while_the_candidate_is_audited(served, monkeypatch):
    written, write = [], release._export_parquet

    def counted(settings, candidate, only=None):
        written.append(only)
        write(settings, candidate, only)

    monkeypatch.setattr(release, "_export_parquet", counted)
    served.night()
    assert written == [None, "meta_quality_results"]


def test_parquet_files_of_other_bytes_than_the_audited_ones_are_written_again(served, monkeypatch):
    def of_something_else(settings, candidate):
        candidate.parquet.mkdir()
        duckdb.execute(f"copy (select 1 as closing_mrr) to '{candidate.parquet}/kpi_mrr.parquet'")
        candidate.export_file.write_text(json.dumps({"exported_sha256": "0" * 64}))

    monkeypatch.setattr(release, "export", of_something_else)
    served.night()
    folder = served.settings.published
    assert parquet_holds(served, "kpi_mrr")
    assert "export.json" not in json.loads((folder / "manifest.json").read_text())["files"]
    assert not (folder / "export.json").exists()


def test_a_refused_night_is_followed_by_a_good_one(served, keizoku):
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTION_HEADER)
    refused(served, keizoku)
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS)
    code, output = keizoku(served, "nightly")
    assert code == 0, output
    assert "read 1 of 4 deliveries: 3 rows" in output
    assert served.value("select cast(as_of_date as varchar) from meta_release") == "2024-04-30"


UP_TO_DATE = "the models are up to date"


def test_a_night_with_nothing_new_builds_no_models_and_publishes(served, keizoku):
    before = release_id(served)
    code, output = keizoku(served, "nightly")
    assert code == 0, output
    assert UP_TO_DATE in output and "building int_account_mrr" not in output
    assert release_id(served) != before
    assert served.value(f"select closing_mrr from kpi_mrr where {TOTAL} and period_label = '2024-03'") == 300


def with_an_invoice(company, monkeypatch, folder):
    company.deliver("crm/invoices", "2024-03-31", "invoice_id,account_id,issued_at,amount\nI1,A1,2024-03-01,100\n")


def with_targets(company, monkeypatch, folder):
    targets = folder / "targets.csv"
    targets.write_text((DBT_PROJECT / "seeds" / "kpi_targets.csv").read_text().splitlines()[0] + "\n")
    monkeypatch.setenv("KEIZOKU_TARGETS", str(targets))


def with_other_settings(company, monkeypatch, folder):
    settings = folder / "vars.yml"
    settings.write_text("fiscal_year_start_month: 1\n")
    monkeypatch.setenv("KEIZOKU_VARS", str(settings))


def with_a_broken_build_before(company, monkeypatch, folder):
    (company.home / "warehouse" / "transformation.passed").unlink()


@pytest.mark.parametrize("change", [with_an_invoice, with_other_settings, with_a_broken_build_before])
def test_models_are_to_be_built_where_anything_changed(served, keizoku, monkeypatch, tmp_path, change):
    def not_here(*_):
        raise QualityGateRefused("models are to be built")

    change(served, monkeypatch, tmp_path)
    monkeypatch.setattr(nightly, "build_models", not_here)
    code, output = keizoku(served, "nightly")
    assert code == 3 and "models are to be built" in output
    assert UP_TO_DATE not in output


def without_the_warehouse(company, monkeypatch, folder):
    (company.home / "warehouse" / "keizoku.duckdb").unlink()


@pytest.mark.parametrize("change", [with_targets, without_the_warehouse])
def test_a_night_builds_models_where_anything_changed(served, keizoku, monkeypatch, tmp_path, change):
    change(served, monkeypatch, tmp_path)
    code, output = keizoku(served, "nightly")
    assert code == 0, output
    assert UP_TO_DATE not in output


def test_a_night_builds_models_where_it_is_told_to(served, keizoku, monkeypatch):
    """And closes what is written early before that ends: else DuckDB would lose its lock on it."""
    still_open = []

    @contextmanager
    def written_early(path):
        yield
        files = [os.path.realpath(link) for link in Path("/proc/self/fd").glob("*")]
        still_open.append((path.name, files.count(str(path.resolve()))))

    for module in (transformation, candidate):
        monkeypatch.setattr(module, "written_early", written_early)
    code, output = keizoku(served, "nightly", "--full-refresh")
    assert code == 0, output
    assert UP_TO_DATE not in output
    assert still_open == [("keizoku.duckdb", 0), ("kpi.duckdb", 0)]


def test_the_interpreter_is_handed_over_quickly_while_models_are_parsed(tmp_path, monkeypatch):
    usual, meanwhile = sys.getswitchinterval(), []

    def parse(settings):
        meanwhile.append(sys.getswitchinterval())
        raise OSError("left to the stage that meets it again")

    monkeypatch.setattr(transformation, "prepared_manifest", parse)
    nightly._prepare(nightly.Night(Settings(home=tmp_path)))
    assert meanwhile == [pytest.approx(0.0001)]
    assert sys.getswitchinterval() == usual


# releases


def test_rollback_serves_an_earlier_release_again(served, keizoku):
    first = release_id(served)
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS.replace(",100,", ",200,"))
    served.night()
    second = release_id(served)
    assert [second, first] == [w for w in keizoku(served, "releases")[1].split() if w in (first, second)]
    assert keizoku(served, "rollback", first)[0] == 0
    assert release_id(served) == first
    assert served.value(f"select closing_mrr from kpi_mrr where {TOTAL} and period_label = '2024-03'") == 300
    assert keizoku(served, "rollback", second)[0] == 0
    assert served.value(f"select closing_mrr from kpi_mrr where {TOTAL} and period_label = '2024-03'") == 600


def test_rollback_refuses_what_it_does_not_know_and_what_was_changed(served, keizoku):
    code, output = keizoku(served, "rollback", "20200101T000000Z-00000000")
    assert (code, "20200101T000000Z-00000000" in output) == (2, True)
    with (served.settings.published / "parquet" / "kpi_mrr.parquet").open("ab") as file:
        file.write(b"x")
    code, output = keizoku(served, "rollback", release_id(served))
    assert (code, "damaged" in output) == (2, True)


# restatements


def restated_mrr(company) -> list[tuple]:
    """Restated closing MRR of the total: grain, first day, previous value, new value."""
    return company.query(
        "select grain, cast(period_start as varchar), previous_value, new_value from meta_restatements "
        "where table_name = 'kpi_mrr' and column_name = 'closing_mrr' and segment_dimension = 'total' order by all"
    )


COMPLETE_PERIODS = [
    ("month", "2024-01-01"), ("month", "2024-02-01"), ("month", "2024-03-01"),
    ("quarter", "2024-01-01"), ("year", "2023-04-01"),
]  # fmt: skip


def test_a_first_release_restates_nothing(served):
    assert served.rows("meta_restatements") == []


def test_rewritten_history_is_restated_once_against_the_release_that_is_served(served, keizoku):
    first = release_id(served)
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS.replace(",100,", ",200,"))
    served.night()
    assert restated_mrr(served) == [(*period, 300, 600) for period in COMPLETE_PERIODS]
    assert served.query("select distinct release_id from meta_restatements") == [(release_id(served),)]
    assert served.value("select previous_release_id from meta_release") == first
    assert served.query(
        "select column_name from meta_quality_results where not success and suite like '%restate%'"
    ) == [("new_value",)]
    served.night()
    assert served.rows("meta_restatements") == []
    assert keizoku(served, "rollback", first)[0] == 0
    served.night()
    assert restated_mrr(served) == [(*period, 300, 600) for period in COMPLETE_PERIODS]


def test_news_of_the_running_month_restate_nothing(served):
    served.deliver("crm/accounts", "2024-04-10", ACCOUNTS)
    served.deliver(
        "crm/subscriptions", "2024-04-10", SUBSCRIPTIONS + "S9,A1,extra,Basic,1,50,,month,1,2024-04-05,,false\n"
    )
    served.night()
    assert served.value(f"select closing_mrr from kpi_mrr where {TOTAL} and period_label = '2024-04'") == 350
    assert served.rows("meta_restatements") == []


def test_a_segment_that_appears_in_the_past_is_restated_from_nothing(served):
    account = "A4,Company 4,IT,Kanto,1-10,csm_1,2024-01-01 09:00:00,false,false\n"
    served.deliver("crm/accounts", "2024-03-31", ACCOUNTS + account)
    served.deliver(
        "crm/subscriptions", "2024-03-31", SUBSCRIPTIONS + "S4,A4,core,Pro,1,700,,month,1,2024-02-05,,false\n"
    )
    served.night()
    pro = served.query(
        "select column_name, cast(period_start as varchar), previous_value, new_value from meta_restatements "
        "where table_name = 'kpi_mrr' and grain = 'month' and segment_value = 'Pro' and column_name like '%_mrr' "
        "order by all"
    )
    assert pro == [
        ("closing_mrr", "2024-02-01", None, 700),
        ("closing_mrr", "2024-03-01", None, 700),
        ("new_mrr", "2024-02-01", None, 700),
        ("opening_mrr", "2024-03-01", None, 700),
    ]


def test_other_settings_restate_too(served, keizoku, monkeypatch, tmp_path):
    (tmp_path / "vars.yml").write_text("fiscal_year_start_month: 1\n")
    monkeypatch.setenv("KEIZOKU_VARS", str(tmp_path / "vars.yml"))
    assert keizoku(served, "nightly")[0] == 0
    assert restated_mrr(served) == [("year", "2023-04-01", 300, None)]


def test_the_scorecard_shows_the_latest_complete_month(served, keizoku):
    code, output = keizoku(served, "scorecard")
    assert code == 0
    assert "2024-03" in output
    assert "MRR" in output
    assert "300" in output


def test_as_of_in_the_past_reads_only_what_was_delivered_then(served, keizoku):
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS.replace(",100,", ",200,"))
    before = {t: served.rows(t) for t in ("kpi_mrr", "kpi_nrr", "dim_accounts", "meta_row_accounting")}
    assert keizoku(served, "nightly")[0] == 0
    assert served.rows("kpi_mrr") != before["kpi_mrr"]
    code, output = keizoku(served, "nightly", "--as-of", "2024-03-31")
    assert code == 0, output
    for table, rows in before.items():
        assert served.rows(table) == rows, table


def test_an_as_of_date_before_the_first_delivery_is_a_wrong_argument(served, keizoku):
    code, output = keizoku(served, "nightly", "--as-of", "2020-01-01")
    assert code == 2
    assert "as-of date 2020-01-01: crm/accounts has no accepted delivery" in output


def test_what_left_a_snapshot_and_what_is_a_test_are_counted(served):
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS.replace(",false,false\nA2", ",true,false\nA2"))
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS.rsplit("S3", 1)[0])
    served.night()
    found = dict(
        served.query(
            "select string_split(expectation, ':')[2], unexpected_count from meta_quality_results where not success"
        )
    )
    assert (found["rows_stay"], found["test_accounts_are_excluded"]) == (1, 1)


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--as-of", "2020-01-01"), 2)])
def test_the_command_ends_with_its_own_words(served, words, code):
    command = [sys.executable, "-m", "dagster_project.cli", "nightly", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "KEIZOKU_HOME": str(served.home)}
    )
    assert done.returncode == code
    assert "leaked" not in done.stderr
    assert ("publishing" if code == 0 else "as-of date 2020-01-01") in done.stderr.splitlines()[-1]


def test_ids_that_hardly_repeat_are_stored_as_they_are(served):
    rows = [
        {
            "event_id": n,
            "account_id": f"A{n % 3 + 1}",
            "user_id": f"u{n}",
            "event_name": "opened",
            "occurred_at": f"2024-03-31 10:00:{n:02}",
            "session_id": f"s{n}",
        }
        for n in range(60)
    ]
    served.deliver("usage/events", "2024-03-31", rows)
    served.night()
    with duckdb.connect(str(served.settings.warehouse), read_only=True) as warehouse:
        stored = {
            (table, column): compression
            for table in ("int_session_days", "int_sessions", "int_account_segments")
            for column, compression in warehouse.execute(
                f"select column_name, compression from pragma_storage_info('{table}') where segment_type = 'VARCHAR'"
            ).fetchall()
        }
    plain = {place for place, compression in stored.items() if compression == "Uncompressed"}
    assert plain == {
        ("int_session_days", "account_id"),
        ("int_session_days", "user_id"),
        ("int_session_days", "session_id"),
        ("int_sessions", "account_id"),
        ("int_sessions", "user_id"),
    }
    assert ("int_account_segments", "plan") in stored


@pytest.mark.parametrize("size", [1, pytest.param(1 << 20, marks=LONG)], ids=["before_it_begins", "midway"])
def test_models_that_cannot_be_written_down_are_not_built(served, monkeypatch, size):
    """DuckDB holds them in memory to the end; without room then, yesterday's tables are in the warehouse."""
    without_room = files_no_larger_than(size)(transformation._checkpoint)
    monkeypatch.setattr(transformation, "_checkpoint", without_room)
    with pytest.raises(DiskFull, match=f"{served.settings.warehouse}: File too large") as refused:
        nightly.run_night(nightly.Night(served.settings, full_refresh=True))
    assert not transformation.is_built(served.settings)
    assert not list(served.settings.warehouse.parent.glob("transformation*"))
    monkeypatch.undo()
    served.night()  # which opens the warehouse, though the error is still at hand
    assert transformation.is_built(served.settings) and refused.value


def test_a_candidate_that_cannot_be_written_down_is_told(served, monkeypatch):
    before = release_id(served)
    with monkeypatch.context() as patch:
        patch.setattr(candidate, "checkpoint", files_no_larger_than(1)(candidate.checkpoint))
        with pytest.raises(DiskFull, match=r"\.candidate/kpi\.duckdb: File too large"):
            served.night()
    assert release_id(served) == before
    served.night()
    assert release_id(served) != before


def test_a_refused_build_that_cannot_be_written_down_is_refused_and_told(served, keizoku, monkeypatch):
    without_room = files_no_larger_than(1)(transformation._checkpoint)
    monkeypatch.setattr(transformation, "_checkpoint", without_room)
    served.deliver("crm/accounts", "2024-04-30", ACCOUNTS)
    in_dollars = "S9,A1,core,Basic,1,50,USD,month,1,2024-04-05,,false\n"
    served.deliver("crm/subscriptions", "2024-04-30", SUBSCRIPTIONS + in_dollars)
    output = refused(served, keizoku, "no exchange rate for USD on 2024-04-30")
    assert (
        f"what was built could not be written down: [Errno 27] File too large: '{served.settings.warehouse}'" in output
    )
