"""dbt's Jinja, compiled once for all nights: by itself dbt compiles whatever it uses anew in every process.

Knows which class of dbt's compiles templates, and nothing of what they say.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import Any

PYTHON = sys.implementation.cache_tag


def compiled_for(name: str) -> str:
    """The name of a file of code, which serves one version of Python, of Jinja and of dbt's extensions to it."""
    return f"{name}.{PYTHON}.jinja2-{version('jinja2')}.dbt-common-{version('dbt-common')}"


def write_compiled(path: Path, sources: Iterable[str]) -> None:
    """Compiles templates into a file. One that cannot be compiled is left to dbt, which tells where it stands."""
    from dbt_common.clients.jinja import get_environment
    from jinja2 import TemplateSyntaxError

    environment, compiled = get_environment(), {}
    for source in sources:
        try:
            compiled[source] = environment.compile(source)
        except TemplateSyntaxError:
            continue
    path.write_bytes(marshal.dumps(compiled))


def read_compiled(path: Path) -> dict[str, CodeType]:
    """Code by source, as `write_compiled` left it; none where the file is gone or broken: dbt can do without."""
    try:
        return marshal.loads(path.read_bytes())
    except (OSError, EOFError, ValueError, TypeError):
        return {}


@contextmanager
def compiled_by(compiled: Mapping[str, CodeType]) -> Iterator[None]:
    """While it lasts, dbt takes the code of these templates from here, and compiles only others."""
    from dbt_common.clients import jinja

    usual = jinja.MacroFuzzEnvironment

    class Compiled(usual):
        def compile(self, source: Any, *given: Any, **named: Any) -> Any:
            known = None if given or named else compiled.get(source)
            return known or super().compile(source, *given, **named)

    jinja.MacroFuzzEnvironment = Compiled
    try:
        yield
    finally:
        jinja.MacroFuzzEnvironment = usual
