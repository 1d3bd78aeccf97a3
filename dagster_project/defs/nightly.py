"""When it runs: the nightly job, its schedule, and a sensor for those who prefer deliveries to a clock."""

import hashlib
from pathlib import Path

import dagster as dg

from dagster_project.defs.ingest import NIGHTLY
from dagster_project.settings import load_business_settings, load_settings

HALF_PAST_THREE = "30 3 * * *"


nightly_job = dg.define_asset_job(
    NIGHTLY,
    selection=dg.AssetSelection.all(),
    description="Everything pending from landing to the served release, as `keizoku nightly` does it.",
)


def nightly_schedule(time_zone: str) -> dg.ScheduleDefinition:
    """Off until it is switched on."""
    return dg.ScheduleDefinition(
        name="every_night",
        job_name=NIGHTLY,
        cron_schedule=HALF_PAST_THREE,
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


@dg.sensor(job_name=NIGHTLY, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.STOPPED)
def new_deliveries(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Starts the job when the files in landing have changed and then lain still from one look to the next."""
    landing = load_settings().landing
    state = landing_state(landing)
    if state is None:
        return dg.SkipReason(f"{landing} holds no delivered file")
    if state != context.cursor:
        context.update_cursor(state)
        return dg.SkipReason("files have changed since the last look; waiting until they lie still")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)])


def landing_state(landing: Path) -> str | None:
    """A hash of names, sizes and times of all delivered files; None where there are none."""
    files = sorted(path for path in landing.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        return None
    stats = ((path, path.stat()) for path in files)
    lines = [f"{path.relative_to(landing)} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dg.definitions
def defs() -> dg.Definitions:
    time_zone = load_business_settings(load_settings()).reporting_time_zone
    return dg.Definitions(jobs=[nightly_job], schedules=[nightly_schedule(time_zone)], sensors=[new_deliveries])
