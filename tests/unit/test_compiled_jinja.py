"""dbt runs the code that was compiled before, and only compiles what it finds none for."""

from pathlib import Path

import pytest
from dbt_common.clients import jinja
from jinja2 import TemplateSyntaxError

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
    assert compiled(tmp_path, KNOWN, "{% if %}").keys() == {KNOWN}
    with pytest.raises(TemplateSyntaxError):
        jinja.get_environment().compile("{% if %}")


def test_the_code_of_the_project_is_that_of_all_its_macros_and_models(tmp_path):
    manifest = transformation.prepared_manifest(Settings(home=tmp_path))
    code = read_compiled(transformation._compiled(manifest))
    parsed = transformation._read_manifest(manifest)
    assert code.keys() == {m.macro_sql for m in parsed.macros.values()} | {n.raw_code for n in parsed.nodes.values()}
    assert {name for name in parsed.macros if name.startswith("macro.keizoku.")}
