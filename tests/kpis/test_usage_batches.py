"""Which of several deliveries of an event counts, where a batch knows the main delivery of each of its days.

Some shortcuts are only taken with that knowledge, which a unit test of dbt does not have.
"""

import datetime as dt
from collections import Counter
from random import Random

import pytest
from inprocess import Row, unusual_project

DAYS = [dt.date(2024, 3, day) for day in (1, 2, 3)]
EVENTS = "stg_usage__events"
ONLY_LATE, SOME_EARLY = [0, 0, 0, 0, 0, 0, 1, 2], [-1, 0, 0, 0, 1]
DELAYS = [ONLY_LATE, [0, 0, 1], [1, 1, 1, 2], SOME_EARLY, [-2, -1, 0, 1, 2], [-1, -1, -1, 0]]


def some_events(random: Random, delays: list[int]) -> list[Row]:
    """Events of three days, some without an id, each delivered up to three times after one of the `delays`."""
    rows = {}
    for number in range(60):
        day, event = random.choice(DAYS), random.choice([None, *"ABCDEFGH"])
        for delivery in {day + dt.timedelta(random.choice(delays)) for _ in range(random.choice([1, 1, 2, 3]))}:
            row = {
                "event_id": event,
                "account_id": "A1",
                "user_id": f"u{number}",
                "occurred_at": dt.datetime.combine(day, dt.time(number // 10, number % 10)),
                "is_deleted": random.random() < 0.2,
                "extract_date": delivery,
                "_file": "f",
                "_row": number,
            }
            rows[(delivery, day, event) if event else (delivery, day, number)] = row  # ingest keeps one of a delivery
    return list(rows.values())


def counted(rows: list[Row]) -> Counter:
    """The events that count, by (day, user): the newest delivery's, and one of identical ones without an id."""
    newest = {}
    for row in rows:
        day = row["occurred_at"].date()
        key = (day, row["event_id"]) if row["event_id"] else (day, row["user_id"], row["is_deleted"])
        if key not in newest or newest[key]["extract_date"] < row["extract_date"]:
            newest[key] = row
    return Counter((r["occurred_at"].date(), r["user_id"]) for r in newest.values() if not r["is_deleted"])


def main_deliveries(rows: list[Row]) -> dict[dt.date, dt.date]:
    """By day the delivery that holds most of its events."""
    held = Counter((row["occurred_at"].date(), row["extract_date"]) for row in rows)
    return {day: delivery for (day, delivery), _ in sorted(held.items(), key=lambda one: one[1])}


def has_early_events(rows: list[Row], main: dict[dt.date, dt.date]) -> bool:
    return any(row["extract_date"] < main[row["occurred_at"].date()] for row in rows)


def common_delay(main: dict[dt.date, dt.date]) -> int | None:
    """The days from a date to its main delivery, where that is the same of all dates."""
    found = {(delivery - day).days for day, delivery in main.items()}
    return found.pop() if len(found) == 1 else None


def list_of_dates(days: list[dt.date | None]) -> str:
    return "[" + ", ".join(f"date '{day}'" if day else "null" for day in days) + "]"


@pytest.mark.parametrize("knows_of_early_ones", [True, False])
@pytest.mark.parametrize("delays", DELAYS)
@pytest.mark.parametrize("seed", range(5))
def test_the_newest_delivery_of_an_event_counts(seed: int, delays: list[int], knows_of_early_ones: bool) -> None:
    rows = some_events(Random(seed), delays)
    main = main_deliveries(rows)
    variables = {
        "batch_first_day": f"date '{DAYS[0]}'",
        "batch_last_day": f"date '{DAYS[-1]}'",
        "batch_main_deliveries": list_of_dates([main.get(day) for day in DAYS]),
    }
    if (main_delay := common_delay(main)) is not None:
        variables["batch_main_delay"] = main_delay
    if knows_of_early_ones:
        variables["batch_has_early_events"] = has_early_events(rows, main)
    project = unusual_project()
    for name, value in variables.items():
        project.connection.execute(f"set variable {name} = {value}")
    try:
        found = project.run({"events": rows}, dt.date(2024, 3, 31), [EVENTS])[EVENTS]
    finally:
        for name in variables:
            project.connection.execute(f"reset variable {name}")
    assert Counter((row["event_date"], row["user_id"]) for row in found) == counted(rows)


def test_some_of_these_batches_have_early_events_and_some_have_none() -> None:
    """So that the test above tells something."""
    for delays, early in ((ONLY_LATE, False), (SOME_EARLY, True)):
        rows = some_events(Random(0), delays)
        assert has_early_events(rows, main_deliveries(rows)) is early


def test_some_of_these_batches_have_a_common_delay_and_some_have_none() -> None:
    delays = {common_delay(main_deliveries(some_events(Random(seed), d))) for seed in range(5) for d in DELAYS}
    assert {-1, 0, 1, None} <= delays
