"""dbt runs the code that was compiled before, and only compiles what it finds none for."""

from pathlib import Path

import pytest
from dbt_common.clients import jinja
from dbt_common.exceptions import CompilationError

from dagster_project import transformation
from dagster_project.compiled_jinja import compiled_by, read_compiled, write_compiled
from dagster_project.settings import Settings

KNOWN = "{% set found = [21] %}{% do found.append(2) %}{{ found[0] * found[1] }} {{ name | as_text }}"


def rendered(source: str) -> str:
    context = {"name": "x"}
    return jinja.render_template(jinja.get_template(source, context), context)


def compiled(tmp_path: Path, *sources: str) -> dict:
    write_compiled(tmp_path / "compiled", sources)
    return read_compiled(tmp_path / "compiled")


@pytest.fixture
def compiles(monkeypatch) -> list[str]:
    """The templates that dbt compiles itself."""
    found, usual = [], jinja.MacroFuzzEnvironment.compile

    def compile_(self, source, *given, **named):
        found.append(source)
        return usual(self, source, *given, **named)

    monkeypatch.setattr(jinja.MacroFuzzEnvironment, "compile", compile_)
    return found


def test_a_known_template_gives_the_same_and_is_not_compiled_again(tmp_path, compiles):
    code, by_itself = compiled(tmp_path, KNOWN), rendered(KNOWN)
    compiles.clear()
    with compiled_by(code):
        assert rendered(KNOWN) == by_itself == "42 x"
    assert compiles == []


def test_any_other_template_is_compiled_and_afterwards_all_are(tmp_path, compiles):
    code = compiled(tmp_path, KNOWN)
    compiles.clear()
    with compiled_by(code):
        assert rendered(KNOWN + "!") == "42 x!"
    rendered(KNOWN)
    assert compiles == [KNOWN + "!", KNOWN]


def test_what_cannot_be_compiled_is_left_to_dbt_to_tell(tmp_path):
    code = compiled(tmp_path, KNOWN, "{% if %}")
    assert code.keys() == {KNOWN}
    with compiled_by(code), pytest.raises(CompilationError):
        rendered("{% if %}")


@pytest.mark.parametrize("content", [None, b"", b"abc"])
def test_without_a_file_that_can_be_read_dbt_compiles_all(tmp_path, content):
    path = tmp_path / "compiled"
    if content is not None:
        path.write_bytes(content)
    assert read_compiled(path) == {}


def test_a_run_compiles_no_macro_or_model_of_the_project(tmp_path, compiles):
    settings = Settings(home=tmp_path)
    manifest = transformation.prepared_manifest(settings)
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    variables = {"as_of": "2024-03-31", "lake": str(settings.lake), "warehouse": str(settings.warehouse)}
    jinja.template_cache.clear()
    compiles.clear()
    options = ["--select", "int_targets", "--no-introspect"]
    results = transformation.run_dbt("compile", tmp_path / "dbt", variables, options=options, manifest=manifest)
    assert {r.status for r in results} == {"success"}
    assert jinja.template_cache.file_cache  # the macros that were used
    assert not set(compiles) & read_compiled(transformation._compiled(manifest)).keys()
