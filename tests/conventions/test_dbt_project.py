"""Rules that no dbt model may break: grain first, marts fully described, layers, portable SQL, no clock."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dagster_project.extracts import lake
from dagster_project.settings import DBT_PROJECT

ENGINE = DBT_PROJECT / "macros" / "engine"
ENGINE_SPECIFIC = {
    "read_parquet": r"\bread_parquet\b",
    "unnest": r"\bunnest\b",
    "list functions": r"\blist_\w+",
    "struct functions": r"\bstruct_\w+",
    "arg_max, arg_min": r"\barg_(max|min)\b",
    "quantile": r"\bquantile\w*",
    "epoch functions": r"\bepoch_\w+",
    "make_date": r"\bmake_date\b",
    "last_day": r"\blast_day\s*\(",
    "date_trunc": r"\bdate_trunc\b",
    "integer division //": r"//",
    "cast by ::": r"::",
    "qualify": r"\bqualify\b",
    "hugeint": r"\bhugeint\b",
    "generate_series": r"\bgenerate_series\b",
    "asof join": r"\basof\b",
}
CLOCK = r"\b(current_(date|time|timestamp)|localtime(stamp)?|run_started_at)\b|\b(now|today|getdate)\s*\("
CLASSES = {"none", "business", "personal"}


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert {_layer(m) for m in found} == {"staging", "intermediate", "marts"}
    return found


def test_every_model_has_a_file_that_states_its_grain_first(models: list[dict[str, Any]]) -> None:
    assert [m["name"] for m in models if not m["patch_path"]] == []
    assert [m["name"] for m in models if not m["description"].strip().startswith("One row per ")] == []


def test_every_model_has_a_file_of_its_own(models: list[dict[str, Any]]) -> None:
    misplaced = {m["name"]: m["patch_path"] for m in models if Path(m["patch_path"] or "").stem != m["name"]}
    assert misplaced == {}


def test_mart_columns_are_described_typed_and_classed(models: list[dict[str, Any]]) -> None:
    incomplete = [
        f"{m['name']}.{c['name']}"
        for m in models
        if _layer(m) == "marts"
        for c in m["columns"].values()
        if not c["description"].strip() or not c["data_type"] or c["config"]["meta"].get("pii") not in CLASSES
    ]
    assert incomplete == []


def test_marts_enforce_their_contract(models: list[dict[str, Any]]) -> None:
    assert [m["name"] for m in models if _layer(m) == "marts" and not m["config"]["contract"]["enforced"]] == []


def test_layers_read_only_what_lies_before_them(manifest: dict[str, Any], models: list[dict[str, Any]]) -> None:
    """staging may read staging, where versions become rows; marts never read it, but for dim_accounts, which has
    a placeholder for accounts that a single extract mentions. Seeds are what neither is made from."""
    allowed = {
        "staging": {"sources", "staging"},
        "intermediate": {"staging", "intermediate", "seeds"},
        "marts": {"intermediate", "marts", "seeds"},
    }
    places = {m["unique_id"]: _layer(m) for m in models} | dict.fromkeys(manifest["sources"], "sources")
    broken = [
        f"{m['name']} reads {read}"
        for m in models
        for read in m["depends_on"]["nodes"]
        if (place := places.get(read, "seeds")) not in allowed[_layer(m)]
        and not (m["name"] == "dim_accounts" and place == "staging")
    ]
    assert broken == []


def test_what_is_kept_is_built_after_what_tells_its_outdated_rows(models: list[dict[str, Any]]) -> None:
    read_by = {m["unique_id"]: m["depends_on"]["nodes"] for m in models}

    def reads(model: str) -> set[str]:
        return {model}.union(*(reads(one) for one in read_by.get(model, [])))

    kept = [m for m in models if m["config"].get("outdated")]
    assert len(kept) > 20
    assert [m["name"] for m in kept if "model.keizoku.int_fact_days" not in reads(m["unique_id"])] == []


def test_engine_specific_functions_stand_under_macros_engine() -> None:
    found = [
        f"{path.relative_to(DBT_PROJECT)}: {name}"
        for path in _sql_files()
        if not path.is_relative_to(ENGINE)
        for name, pattern in ENGINE_SPECIFIC.items()
        if re.search(pattern, _code(path), re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["read_parquet", "make_date", "last_day", "hugeint", "generate_series", "unnest"])
def test_the_deny_list_finds_what_the_engine_macros_use(name: str) -> None:
    engine = "\n".join(_code(path) for path in ENGINE.glob("*.sql"))
    assert re.search(ENGINE_SPECIFIC[name], engine, re.IGNORECASE)


def test_the_lake_is_read_where_ingest_writes_it() -> None:
    named = re.findall(r'"extract_date=([^"]*)"(?: ~ delivery ~ "([^"]*)")?', (ENGINE / "lake.sql").read_text())
    assert {"".join(one) for one in named} == {f"{lake.EMPTY_DATE}/{lake.EMPTY}", f"/{lake.PART}"}


def test_nothing_asks_the_clock() -> None:
    files = [*_sql_files(), *(DBT_PROJECT / "models").rglob("*.yml"), *(DBT_PROJECT / "seeds").glob("*.csv")]
    assert [str(p.relative_to(DBT_PROJECT)) for p in files if re.search(CLOCK, _code(p), re.IGNORECASE)] == []


def test_singular_tests_open_with_what_they_guard_and_what_they_do_not_claim() -> None:
    tests = sorted((DBT_PROJECT / "tests").glob("*.sql"))
    assert tests
    for path in tests:
        opening = " ".join(line[3:] for line in path.read_text().splitlines() if line.startswith("-- "))
        assert opening.startswith("Guards "), path.name
        assert "Does not claim" in opening or "says nothing about" in opening, path.name


def _layer(model: dict[str, Any]) -> str:
    return model["path"].split("/")[0]


def _sql_files() -> list[Path]:
    return sorted(path for name in ("models", "macros", "tests") for path in (DBT_PROJECT / name).rglob("*.sql"))


def _code(path: Path) -> str:
    """The file without comments, which may name what they avoid."""
    return re.sub(r"\{#.*?#\}|--[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
