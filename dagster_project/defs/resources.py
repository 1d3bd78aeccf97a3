"""What the assets of one run share: the night, and the lock that keeps every other run out."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
from pydantic import Field

from dagster_project.nightly import Night, locked
from dagster_project.settings import ConfigurationError, Settings, load_settings


class NightResource(dg.ConfigurableResource):
    """The settings of the run, read from the environment when it starts; a run's configuration may override two.

    Holds the lock of KEIZOKU_HOME from the first step to the last. That needs every step in this one process, which
    the in-process executor sees to. Raises LockHeld where another run, or `keizoku nightly`, is at work.
    """

    home: str = Field("", description="Folder below which everything is written; empty: KEIZOKU_HOME.")
    as_of: str = Field("", description="Read only deliveries up to this date, YYYY-MM-DD; empty: all of them.")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["NightResource"]:
        with locked(self.settings()):
            yield self

    def settings(self) -> Settings:
        settings = load_settings()
        return settings.model_copy(update={"home": Path(self.home).expanduser().resolve()}) if self.home else settings

    def night(self) -> Night:
        """Raises ConfigurationError for a wrong setting or an as-of date that is none."""
        return Night(self.settings(), _date(self.as_of) if self.as_of else None)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"as_of of the resource night: found {text!r}; expected a date YYYY-MM-DD") from None


@dg.definitions
def defs() -> dg.Definitions:
    # One process, one writer: the warehouse and the candidate each have a single one.
    return dg.Definitions(resources={"night": NightResource()}, executor=dg.in_process_executor)
