"""`lake export` without days: the missing ones, of those that the source still keeps."""

from __future__ import annotations

import json

import pytest

from lake.base.day import Day
from lake.retired import change_retired

DAYS = [f"2026-07-{day:02}" for day in range(1, 10)]


def exported(lake, *arguments: str) -> set[tuple[str, str]]:
    code, out, _ = lake("export", "--json", *arguments)
    assert code == 0
    partitions = json.loads(out)["partitions"]
    assert {partition["state"] for partition in partitions} <= {"exported"}
    return {(partition["dataset"], partition["day"]) for partition in partitions}


def test_from_the_oldest_day_in_the_lake_on(place, lake):
    place.source.rows = dict.fromkeys(DAYS, 3)
    place.export("2026-07-03", "users")
    place.export("2026-07-05")
    assert exported(lake) == {
        (name, day)
        for name in ("events", "users")
        for day in DAYS[2:]
        if (name, day) not in {("users", "2026-07-03"), ("events", "2026-07-05")}
    }
    assert exported(lake) == set()


def test_of_the_named_dataset_from_the_first_day_on(place, lake):
    place.config.write_text(
        place.config.read_text().replace("[lake]", "[lake]\nfirst_day = 2026-07-07")
    )
    place.source.rows = dict.fromkeys(DAYS, 3)
    assert exported(lake, "users") == {("users", day) for day in DAYS[6:]}


@pytest.mark.parametrize("hot", [3, 4])
def test_none_that_the_source_has_begun_to_forget(place, lake, hot):
    """Of `[hot]` days the current one is one."""
    place.source.rows = dict.fromkeys(DAYS, 3)
    place.export("2026-07-01", "users")
    place.config.write_text(place.config.read_text().replace("mongo = 30", f"mongo = {hot}"))
    assert exported(lake, "users") == {("users", day) for day in DAYS[-(hot - 1) :]}


def test_none_that_retention_has_deleted(place, lake):
    place.source.rows = dict.fromkeys(DAYS, 3)
    place.export("2026-07-07", "users")
    change_retired(place.store, added={"users": [Day.parse("2026-07-08")]})
    assert exported(lake, "users") == {("users", "2026-07-09")}
