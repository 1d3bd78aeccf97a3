"""The Dagster wiring: what hangs together how, and what a run in process does and refuses to do."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project import nightly
from dagster_project.defs.checks import check_name, published_suites, raw_suites
from dagster_project.defs.resources import NightResource
from dagster_project.extracts.lake import read_records
from dagster_project.publishing.candidate import candidate_of
from dagster_project.publishing.release import served_release
from dagster_project.quality.suites import read_suite, suite_names, suite_path
from dagster_project.sample import write_sample_company
from dagster_project.settings import EXPECTATIONS, SHIPPED_CONTRACTS, ConfigurationError, Settings

ACCOUNTS, SUBSCRIPTIONS = dg.AssetKey(["raw", "crm", "accounts"]), dg.AssetKey(["raw", "crm", "subscriptions"])
CANDIDATE, RELEASE = dg.AssetKey("candidate"), dg.AssetKey("release")


def load_definitions() -> dg.Definitions:
    from dagster_project.definitions import defs

    return defs()


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    """The code location as `dagster dev` loads it, on a home without any data."""
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(f"KEIZOKU_{name.upper()}", raising=False)
        environment.setenv("KEIZOKU_HOME", str(tmp_path_factory.mktemp("empty")))
        return load_definitions()


@pytest.fixture(scope="module")
def graph(definitions):
    return definitions.resolve_asset_graph()


@dataclass
class Runs:
    """Runs of the code location in this process, on one home."""

    definitions: dg.Definitions
    settings: Settings
    instance: dg.DagsterInstance

    def nightly(self, **options) -> dg.ExecuteInProcessResult:
        return self._execute("nightly", **options)

    def assets(self, *keys: dg.AssetKey, **options) -> dg.ExecuteInProcessResult:
        """What the UI starts for some assets, with the checks on them."""
        return self._execute("__ASSET_JOB", asset_selection=list(keys), **options)

    def _execute(self, job: str, **options) -> dg.ExecuteInProcessResult:
        found = self.definitions.resolve_implicit_global_asset_job_def() if job == "__ASSET_JOB" else None
        return (found or self.definitions.resolve_job_def(job)).execute_in_process(
            run_config={"resources": {"night": {"config": {"home": str(self.settings.home)}}}},
            instance=self.instance,
            raise_on_error=False,
            **options,
        )

    @property
    def served(self) -> str | None:
        release = served_release(self.settings)
        return release.release_id if release else None


@pytest.fixture
def runs(definitions, tmp_path):
    """A home with the deliveries of a small sample company, none of them read yet."""
    settings = Settings(home=tmp_path / "home")
    write_sample_company(settings.landing, accounts=30, months=4)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(definitions, settings, instance)


@pytest.fixture(scope="module")
def published(definitions, tmp_path_factory):
    """The same company after one night. Read it only."""
    settings = Settings(home=tmp_path_factory.mktemp("published"))
    write_sample_company(settings.landing, accounts=30, months=4)
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(definitions, settings, instance)
        yield runs, runs.nightly()


@pytest.fixture
def published_copy(published, definitions, tmp_path):
    """A copy of that home to break."""
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(published[0].settings.home, settings.home, symlinks=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(definitions, settings, instance)


def outcome(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """How each step ended: success, failure or skipped; a step that never started is missing."""
    ends = {"STEP_SUCCESS": "success", "STEP_FAILURE": "failure", "STEP_SKIPPED": "skipped"}
    events = result.all_node_events
    return {e.step_key: ends[e.event_type_value] for e in events if e.event_type_value in ends}


def failure_message(result: dg.ExecuteInProcessResult, step: str) -> str:
    (event,) = [e for e in result.all_node_events if e.is_step_failure and e.step_key == step]
    return event.step_failure_data.error.to_string()


def failed_checks(result: dg.ExecuteInProcessResult) -> set[str]:
    return {e.check_name for e in result.get_asset_check_evaluations() if not e.passed and e.blocking}


# what the code location holds


def test_definitions_load_and_validate_without_any_data(definitions):
    dg.Definitions.validate_loadable(definitions)


def test_every_extract_leads_over_the_marts_to_the_release(definitions, graph):
    def downstream(key: dg.AssetKey) -> set[dg.AssetKey]:
        found, todo = set(), [key]
        while todo:
            children = graph.get(todo.pop()).child_keys - found
            found |= children
            todo += children
        return found

    for key in graph.get_all_asset_keys() - {RELEASE}:
        assert key.path[0] in ("raw", "seeds", "staging", "intermediate", "marts", "candidate")
        if key.path[0] in ("marts", "seeds") or key in (CANDIDATE, ACCOUNTS, SUBSCRIPTIONS):
            assert RELEASE in downstream(key), key
    layers = {key.path[0] for key in downstream(ACCOUNTS)}
    assert {"staging", "intermediate", "marts", "candidate", "release"} <= layers
    assert graph.get(RELEASE).parent_keys == {CANDIDATE}
    marts = {key for key in graph.get_all_asset_keys() if key.path[0] == "marts"}
    assert graph.get(CANDIDATE).parent_keys == marts | {dg.AssetKey(["raw", "deliveries"])}


def test_layers_only_read_to_their_right(graph):
    order = ["seeds", "raw", "staging", "intermediate", "marts", "candidate", "release"]
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            assert order.index(parent.path[0]) <= order.index(key.path[0]), f"{key} reads {parent}"


def test_every_extract_of_the_contracts_is_a_partitioned_asset_that_staging_reads(graph):
    contracts = {p.relative_to(SHIPPED_CONTRACTS / "standard").with_suffix("") for p in _standard_contracts()}
    for contract in contracts:
        key = dg.AssetKey(["raw", *contract.parts])
        assert isinstance(graph.get(key).partitions_def, dg.DailyPartitionsDefinition)
        assert {child.path[0] for child in graph.get(key).child_keys} == {"staging"}


def _standard_contracts() -> list[Path]:
    return list((SHIPPED_CONTRACTS / "standard").glob("*/*.yml"))


def test_every_expectation_is_a_check_with_a_name_of_its_own(graph):
    extracts = [str(p.relative_to(SHIPPED_CONTRACTS / "standard").with_suffix("")) for p in _standard_contracts()]
    planned = sum(len(suite.planned) for suite in [*raw_suites(extracts), *published_suites()])
    gates = [key for key in graph.asset_check_keys if key.asset_key.path[0] in ("raw", "candidate")]
    assert len(gates) == planned > 100


def test_no_shipped_suite_has_two_expectations_of_one_check_name():
    for folder in (EXPECTATIONS / "raw", EXPECTATIONS / "published"):
        for name in suite_names(folder):
            suite = read_suite(suite_path(folder, name), name, name)
            names = [check_name(planned) for planned in suite.planned]
            assert len(names) == len(set(names)), name


def test_critical_expectations_block_and_warnings_do_not(graph):
    unique = dg.AssetCheckKey(ACCOUNTS, "column_values_to_be_unique__account_id")
    unknown = dg.AssetCheckKey(SUBSCRIPTIONS, "account_is_known")
    assert graph.get_check_spec(unique).blocking
    assert not graph.get_check_spec(unknown).blocking


def test_the_schedule_is_half_past_three_in_the_reporting_time_zone_and_off(definitions):
    schedule = definitions.resolve_schedule_def("every_night")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 3 * * *", "Asia/Tokyo")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert definitions.resolve_sensor_def("new_deliveries").default_status == dg.DefaultSensorStatus.STOPPED


def test_a_tick_of_the_schedule_asks_for_one_run_without_a_partition(definitions):
    schedule = definitions.resolve_schedule_def("every_night")
    with dg.build_schedule_context(scheduled_execution_time=dt.datetime(2026, 3, 1, 3, 30)) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key is None


def test_the_time_zone_of_the_schedule_follows_the_business_settings(tmp_path, monkeypatch):
    (tmp_path / "vars.yml").write_text("reporting_time_zone: Europe/Berlin\n")
    monkeypatch.setenv("KEIZOKU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KEIZOKU_VARS", str(tmp_path / "vars.yml"))
    schedule = load_definitions().resolve_schedule_def("every_night")
    assert schedule.execution_timezone == "Europe/Berlin"


def test_the_sensor_waits_until_the_files_lie_still(definitions, tmp_path, monkeypatch):
    monkeypatch.setenv("KEIZOKU_HOME", str(tmp_path))
    sensor = definitions.resolve_sensor_def("new_deliveries")
    file = tmp_path / "landing" / "crm" / "accounts" / "2024-01-31" / "part.csv"

    def look(cursor: str | None) -> tuple[list[str], str | None]:
        with dg.build_sensor_context(cursor=cursor, definitions=definitions) as context:
            seen = sensor.evaluate_tick(context)
        return [request.run_key for request in seen.run_requests], seen.cursor

    assert look(None) == ([], None)
    file.parent.mkdir(parents=True)
    file.write_text("account_id\n")
    requests, first = look(None)
    assert requests == [] and first
    assert look(first)[0] == [first]
    file.write_text("account_id\nA1\n")
    requests, second = look(first)
    assert requests == [] and second != first
    assert look(second)[0] == [second]


# runs


def test_a_night_publishes_and_records_every_check(published, graph):
    runs, result = published
    assert result.success
    evaluated = {e.asset_check_key for e in result.get_asset_check_evaluations()}
    assert evaluated == set(graph.asset_check_keys)
    materialized = {e.asset_key for e in result.get_asset_materialization_events()}
    assert materialized == graph.get_all_asset_keys()
    (release,) = result.asset_materializations_for_node("release")
    assert release.metadata["release_id"].value == runs.served
    assert "kpi_mrr" in release.metadata["rows"].value
    assert "MRR" in release.metadata["scorecard"].value
    with duckdb.connect(release.metadata["tables"].value, read_only=True) as connection:
        rows = connection.execute("select count(*) from kpi_mrr").fetchone()[0]
    (mart,) = [m for m in result.asset_materializations_for_node("transform") if m.asset_key.path[-1] == "kpi_mrr"]
    assert mart.metadata["dagster/row_count"].value == rows > 0


def test_every_step_of_a_night_logs_what_it_does(published):
    """dbt tells it from threads of its own."""
    runs, result = published
    logged = [(e.step_key, e.user_message) for e in runs.instance.all_logs(result.run_id) if not e.is_dagster_event]
    deliveries = len(list(runs.settings.landing.glob("*/*/*")))
    for step, words in (
        ("ingest", rf"read {deliveries} of {deliveries} deliveries: [\d,]+ rows"),
        ("raw_gate", "auditing the raw extracts"),
        ("transform", r"(building|testing) \w+ \(\d+ of \d+\)"),
        ("candidate", r"building the candidate: \d+ tables"),
        ("publish_gate", "auditing the candidate"),
        ("release", "publishing"),
    ):
        assert any(step == key and re.fullmatch(words, line) for key, line in logged), (step, words, logged)


def test_check_metadata_holds_counts_and_names_only(published):
    _, result = published
    gates = [e for e in result.get_asset_check_evaluations() if e.asset_key.path[0] in ("raw", "candidate")]
    allowed = {"suite", "expectation", "column", "severity", "evaluated_rows", "unexpected_count", "observed_value"}
    required = {"suite", "expectation", "severity", "evaluated_rows", "unexpected_count"}
    for evaluation in gates:
        assert required <= evaluation.metadata.keys() <= allowed


def test_a_night_marks_the_extract_dates_it_has_read(published):
    runs, _ = published
    contracts = nightly.Night(runs.settings).contracts
    read = {day.isoformat() for extract, day in read_records(runs.settings, contracts) if extract == "crm/accounts"}
    assert runs.instance.get_materialized_partitions(ACCOUNTS) == read != set()


def test_a_critical_raw_check_stops_dbt_and_nothing_is_published(published_copy):
    """Half of the subscriptions are gone from the next snapshot: a valid file that no contract refuses."""
    runs, before = published_copy, published_copy.served
    newest = max((runs.settings.landing / "crm" / "subscriptions").iterdir())
    for extract, keep in (("subscriptions", 3), ("accounts", None)):
        delivered = runs.settings.landing / "crm" / extract / newest.name
        for file in delivered.iterdir():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            later = delivered.with_name("2025-10-31") / file.name
            later.parent.mkdir(exist_ok=True)
            later.write_text("".join(lines[:keep]), encoding="utf-8")
    result = runs.nightly()
    assert not result.success
    assert failed_checks(result) == {"not_half_of_previous_delivery"}
    assert outcome(result) == {"ingest": "success", "raw_gate": "failure"}
    assert "raw/crm/subscriptions" in failure_message(result, "raw_gate")
    assert runs.served == before
    later = runs.assets(dg.AssetKey(["marts", "kpi_mrr"]))
    assert "the raw gate has not passed" in failure_message(later, "transform")


@pytest.fixture
def with_broken_candidate(monkeypatch) -> Callable[[], None]:
    build = nightly.build_candidate

    def broken(*arguments):
        made = build(*arguments)
        with duckdb.connect(str(made.database)) as connection:
            connection.execute("update kpi_mrr set closing_mrr = closing_mrr + 1")
        return made

    return lambda: monkeypatch.setattr(nightly, "build_candidate", broken)


def test_a_critical_published_check_keeps_the_old_release(published_copy, with_broken_candidate):
    runs, before = published_copy, published_copy.served
    with_broken_candidate()
    result = runs.assets(CANDIDATE, RELEASE)
    assert not result.success
    assert outcome(result) == {"candidate": "success", "publish_gate": "failure"}
    assert any(name.startswith("kpi_mrr__") for name in failed_checks(result))
    assert runs.served == before
    alone = runs.assets(RELEASE)  # the release itself refuses, whatever was not run before it
    assert outcome(alone) == {"release": "failure"}
    assert "QualityGateRefused" in failure_message(alone, "release")
    assert runs.served == before


def test_a_partition_range_reads_only_its_dates(runs):
    result = runs.assets(
        SUBSCRIPTIONS,
        tags={"dagster/asset_partition_range_start": "2025-07-01", "dagster/asset_partition_range_end": "2025-08-31"},
    )
    assert outcome(result)["ingest"] == "success"
    contracts = nightly.Night(runs.settings).contracts
    assert {(extract, str(day)) for extract, day in read_records(runs.settings, contracts)} == {
        ("crm/subscriptions", "2025-07-31"),
        ("crm/subscriptions", "2025-08-31"),
    }


def test_a_refused_delivery_fails_the_step_with_its_message(runs):
    newest = max((runs.settings.landing / "crm" / "accounts").iterdir())
    for file in newest.iterdir():
        file.write_text("account_name\nNobody\n")
    result = runs.nightly()
    assert outcome(result) == {"ingest": "failure"}
    assert "account_id" in failure_message(result, "ingest")
    materialized = {e.asset_key for e in result.get_asset_materialization_events()}
    assert SUBSCRIPTIONS in materialized and ACCOUNTS not in materialized


def test_a_run_beside_another_one_fails_and_changes_nothing(runs):
    with nightly.locked(runs.settings):
        result = runs.nightly()
    assert not result.success
    assert not (runs.settings.home / "lake").exists()
    assert runs.nightly().success


def test_an_as_of_date_that_is_none_is_explained():
    with pytest.raises(ConfigurationError, match="expected a date YYYY-MM-DD"):
        NightResource(as_of="31.12.2024").night()


def test_the_candidate_of_the_night_is_gone_once_it_is_published(published):
    runs, _ = published
    assert not candidate_of(runs.settings).folder.exists()
