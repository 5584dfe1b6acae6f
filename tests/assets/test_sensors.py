"""What the sensor reports: partitions that were exported or dropped outside of Dagster."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from assets.resources import LakeResource
from lake.base.clock import simulated
from lake.base.day import Day
from lake.base.errors import Missing, TransientError
from lake.export import Exporter

DAYS = ["2026-07-01", "2026-07-02", "2026-07-03"]
SOURCES = ("mongo", "prometheus", "loki")


@pytest.fixture
def outside(place):
    """Exports and drops as the command line does, past Dagster."""
    place.source.rows = {day: number * 10 for number, day in enumerate(DAYS, 1)}
    return Exporter(place.settings, place.store, dict.fromkeys(SOURCES, place.source))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("assets.sensors._YOUNG", timedelta(0))


def tick(place, cursor: str | None = None) -> tuple[list, str]:
    """One evaluation, its events stored as the daemon stores them; the next cursor."""
    sensor = place.definitions.resolve_sensor_def("report_manifests")
    with dg.build_sensor_context(
        instance=place.instance,
        cursor=cursor,
        resources={"lake": LakeResource.of(place.settings)},
        definitions=place.definitions,
    ) as context:
        result = sensor(context)
    for event in result.asset_events:
        place.instance.report_runless_asset_event(event)
    return list(result.asset_events), result.cursor


def materialized(events: list) -> list[dg.AssetMaterialization]:
    return [event for event in events if isinstance(event, dg.AssetMaterialization)]


def export(outside, day: str, **options) -> None:
    dataset = outside.settings.dataset_named("events")
    outside.export(dataset, Day.parse(day), **options)


def test_a_partition_exported_by_the_command_line_appears(place, outside):
    for day in DAYS:
        export(outside, day)
    assert place.recorded() == []
    events, cursor = tick(place)
    assert place.recorded() == DAYS
    assert [event.metadata["rows"].value for event in materialized(events)] == [10, 20, 30]
    assert tick(place, cursor)[0] == []
    assert tick(place, json.dumps({**json.loads(cursor), "of_another_version": 1}))[0] == []
    assert tick(place)[0] == []  # nor without the cursor: the events are there


def test_what_a_run_recorded_is_not_reported_again(place, outside):
    place.run(DAYS[0], DAYS[1])
    export(outside, DAYS[2])
    events, _ = tick(place)
    assert [event.partition for event in materialized(events)] == [DAYS[2]]


def test_a_rewrite_outside_is_reported(place, outside):
    place.run(DAYS[0], DAYS[-1])
    _, cursor = tick(place)
    place.source.rows[DAYS[1]] = 25
    export(outside, DAYS[1], force=True)
    events, cursor = tick(place, cursor)
    assert [(event.partition, event.metadata["rows"].value) for event in materialized(events)] == [
        (DAYS[1], 25)
    ]
    assert tick(place, cursor)[0] == []


def test_a_dropped_partition_is_reported_once(place, outside):
    place.run(DAYS[0], DAYS[-1])
    _, cursor = tick(place)
    place.store.delete(f"manifests/events/{DAYS[1]}.json")
    place.store.delete(f"tables/events/day={DAYS[1]}/data.parquet")
    events, cursor = tick(place, cursor)
    (event,) = events
    assert isinstance(event, dg.AssetObservation)
    assert (event.partition, "no longer in the lake" in event.description) == (DAYS[1], True)
    events, cursor = tick(place, cursor)  # the removal is known
    assert events == []
    export(outside, DAYS[1])  # the same rows, and so the same object
    events, cursor = tick(place, cursor)
    assert [event.partition for event in materialized(events)] == [DAYS[1]]
    assert tick(place, cursor)[0] == []


def test_days_before_a_later_first_day_are_not_reported(place, outside, monkeypatch):
    place.run(DAYS[0], DAYS[-1])
    monkeypatch.setattr(
        "assets.sensors.partitions_of",
        lambda _: dg.DailyPartitionsDefinition(start_date=DAYS[2], timezone="UTC"),
    )
    assert tick(place)[0] == []


def test_a_manifest_that_a_run_may_be_about_to_record_waits(place, outside, monkeypatch):
    monkeypatch.setattr("assets.sensors._YOUNG", timedelta(hours=1))
    export(outside, DAYS[0])
    events, cursor = tick(place)
    assert events == []
    monkeypatch.setattr("assets.sensors._YOUNG", timedelta(0))
    assert [event.partition for event in materialized(tick(place, cursor)[0])] == [DAYS[0]]


def test_many_manifests_take_several_ticks(place, outside, monkeypatch):
    monkeypatch.setattr("assets.sensors._MOST", 2)
    for day in DAYS:
        export(outside, day)
    first, cursor = tick(place)
    second, cursor = tick(place, cursor)
    assert [event.partition for event in materialized([*first, *second])] == DAYS
    assert tick(place, cursor)[0] == []


def test_it_runs_by_default(place):
    sensor = place.definitions.resolve_sensor_def("report_manifests")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


@pytest.fixture
def late(monkeypatch):
    """A day on which all of DAYS may still grow."""
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: Day.parse("2026-07-05")))


@pytest.mark.usefixtures("late")
def test_a_recount_without_its_source_leaves_the_partition_green(place, outside):
    place.run(DAYS[0], DAYS[-1])
    place.source.lateness_days = 8
    place.source.count = _unreachable
    result = place.run(DAYS[0], DAYS[-1], config={"recheck": True})
    assert result.success
    observed = [
        event.event_specific_data.asset_observation
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
    ]
    assert sorted(event.partition for event in observed) == DAYS
    assert all("Not re-counted" in event.description for event in observed)
    assert "no answer" in observed[0].metadata["problem"].value


@pytest.mark.usefixtures("late")
def test_a_recount_that_its_source_refuses_fails(place, outside):
    place.run(DAYS[0], DAYS[0])
    place.source.lateness_days = 8
    place.source.count = _gone
    assert not place.run(DAYS[0], DAYS[0], config={"recheck": True}).success


@pytest.mark.usefixtures("late")
def test_a_day_that_is_not_proven_stays_red_without_its_source(place, outside):
    place.run(DAYS[0], DAYS[0])
    place.store.write(f"tables/events/day={DAYS[0]}/data.parquet", b"cut")
    place.source.lateness_days = 8
    place.source.faults[DAYS[0]] = TransientError("no answer")
    assert not place.run(DAYS[0], DAYS[0], config={"recheck": True}).success


def _unreachable(dataset, day):
    raise TransientError("no answer")


def _gone(dataset, day):
    raise Missing("no such collection")


def test_midnight_between_two_looks_drops_no_day(place, outside, monkeypatch):
    """A clock was ahead when a run exported the day: by its time it is open, then it ends."""
    day = Day.parse(DAYS[-1])
    place.run(DAYS[0], DAYS[-1])
    todays = iter([day] * len(DAYS))
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: next(todays, day.plus(1))))
    assert tick(place)[0] == []


def test_a_manifest_from_the_future_is_reported_at_once(place, outside, monkeypatch):
    """It was written before the clock was set back by an hour."""
    monkeypatch.setattr("assets.sensors._YOUNG", timedelta(minutes=1))
    with simulated(lambda: datetime.now(UTC) + timedelta(hours=1)):
        export(outside, DAYS[0])
    assert [event.partition for event in materialized(tick(place)[0])] == [DAYS[0]]
