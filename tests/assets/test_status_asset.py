"""What is late, as Dagster shows it, compared with what was stored and what was taken away."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

import assets.status
from assets.definitions import build
from assets.status import bars, newest_due
from lake.base.day import Day
from lake.base.errors import TransientError
from lake.export import Exporter

DAYS = [f"2026-07-{number:02}" for number in range(1, 10)]
NOW = datetime(2026, 7, 10, 8, tzinfo=UTC)
SYSTEMS = ("mongo", "prometheus", "loki")
TABLES = ("events", "requests", "samples", "lines")


@pytest.fixture
def nine_days(place, monkeypatch):
    """Nine days of all tables at 08:00 of the tenth, of which Prometheus keeps eight."""
    hot = place.settings.hot.model_copy(update={"prometheus": 8})
    place.settings = place.settings.model_copy(update={"hot": hot})
    monkeypatch.setattr("lake.base.day.utc_now", lambda: NOW)
    monkeypatch.setattr("lake.lag.utc_now", lambda: NOW)
    monkeypatch.setattr(assets.status, "utc_now", lambda: NOW)
    place.definitions = build(place.settings, place.definitions.resources["lake"])
    place.source.rows = {day: number for number, day in enumerate(DAYS, 1)}
    exporter = Exporter(place.settings, place.store, dict.fromkeys(SYSTEMS, place.source))
    for dataset in place.settings.dataset:
        for day in DAYS:
            exporter.export(dataset, Day.parse(day))
    return place


def take_away(place, table: str, *days: str) -> None:
    """As `lake drop` does, the manifest first."""
    for day in days:
        place.store.delete(f"manifests/{table}/{day}.json")
        place.store.delete(f"tables/{table}/day={day}/data.parquet")


def check(place) -> tuple[dict, dict[str, dg.MetadataValue]]:
    """The results of the checks by table and name, the overview's metadata."""
    result = place.definitions.resolve_job_def("check_days").execute_in_process(
        instance=place.instance, raise_on_error=False
    )
    reasons = [e.step_failure_data for e in result.all_events if e.is_step_failure]
    assert result.success, reasons
    checks = {
        (e.asset_key.to_user_string(), e.check_name): e
        for e in result.get_asset_check_evaluations()
    }
    (event,) = result.asset_materializations_for_node("lake_status")
    return checks, event.metadata


def test_nothing_is_late(nine_days):
    checks, overview = check(nine_days)
    assert set(checks) == {
        (table, name) for table in TABLES for name in ("no_day_missing", "newest_day_on_time")
    }
    assert all(result.passed for result in checks.values())
    assert overview["late_days"].value == "Nothing is late: 36 of 36 days are proven."
    assert (overview["proven"].value, overview["missing"].value) == (36, 0)
    assert "hours_left" not in overview
    plot = checks["events", "no_day_missing"].metadata["rows_a_day"].value
    dots = "·" * 5
    assert plot == f"`{dots}▂▃▃▄▅▆▆▇█`\n\n2026-06-26 to 2026-07-09, highest 9"
    # Fourteen days were cut by the width of Dagster's cell.
    (row,) = [row for row in overview["tables"].value.splitlines() if "| events |" in row]
    assert row == "| events | 9/9 | 2026-07-09 | `▃▄▅▆▆▇█` |"


def test_days_that_are_missing_or_damaged_are_named(nine_days):
    place = nine_days
    take_away(place, "events", "2026-07-03", "2026-07-04", "2026-07-09")
    place.store.write("tables/lines/day=2026-07-05/data.parquet", b"short")
    take_away(place, "samples", DAYS[0])

    checks, overview = check(place)

    failed = {key: result for key, result in checks.items() if not result.passed}
    assert set(failed) == {
        ("events", "no_day_missing"),
        ("events", "newest_day_on_time"),
        ("lines", "no_day_missing"),
        ("samples", "no_day_missing"),
    }
    events = failed["events", "no_day_missing"]
    # MongoDB's default of 90 days from 2026-07-03 ends on 2026-10-01: 82 days and 16 hours.
    assert events.description.startswith(
        "3 missing (2026-07-03 … 2026-07-04, 2026-07-09); the source has all of them for 1,984.0"
    )
    assert events.severity == dg.AssetCheckSeverity.WARN
    newest = failed["events", "newest_day_on_time"].metadata
    assert (newest["newest"].value, newest["days_behind"].value) == ("2026-07-08", 1)
    assert "1 damaged (2026-07-05)" in failed["lines", "no_day_missing"].description
    # The first day's last sample went at 00:00 of the tenth.
    assert failed["samples", "no_day_missing"].severity == dg.AssetCheckSeverity.ERROR
    assert failed["samples", "no_day_missing"].metadata["lost"].value == 1
    lines = overview["late_days"].value.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| lines", "| events", "| samples"]
    assert lines[-2:] == [
        "| events | 3 missing | 2026-07-03 | 1,984 |",
        "| samples | 1 missing | 2026-07-01 | gone |",
    ]
    assert (overview["missing"].value, overview["damaged"].value) == (4, 1)
    assert overview["lost"].value == 1


def test_a_day_that_its_source_is_deleting(nine_days):
    """Prometheus keeps eight days: the second one's rows have been going since midnight."""
    take_away(nine_days, "samples", DAYS[1])
    checks, overview = check(nine_days)
    result = checks["samples", "no_day_missing"]
    assert result.description == (
        "1 missing (2026-07-02); the source has been deleting rows of them for 8.0 hours"
    )
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert overview["late_days"].value.splitlines()[-1] == (
        "| samples | 1 missing | 2026-07-02 | being deleted |"
    )


def test_yesterday_is_due_from_six_on(nine_days, monkeypatch):
    place = nine_days
    take_away(place, "events", DAYS[-1])
    monkeypatch.setattr(assets.status, "utc_now", lambda: NOW.replace(hour=5))
    checks, overview = check(place)
    assert all(result.passed for result in checks.values())
    assert overview["late_days"].value == "Nothing is late: 32 of 32 days are proven."
    assert str(newest_due(NOW.replace(hour=6))) == "2026-07-09"
    assert str(newest_due(NOW.replace(hour=5, minute=59))) == "2026-07-08"


def test_the_nightly_export_does_not_read_the_ledger_for_each_day(nine_days):
    result = nine_days.definitions.resolve_job_def("export").execute_in_process(
        instance=nine_days.instance, partition_key=DAYS[0]
    )
    names = {check.check_name for check in result.get_asset_check_evaluations()}
    assert names == {"object_matches_manifest", "rows_equal_source"}


def test_a_store_that_does_not_answer_fails_the_run_with_its_reason(nine_days, monkeypatch):
    def fails(*_):
        raise TransientError("the store does not answer")

    monkeypatch.setattr(assets.status, "table_states", fails)
    job = nine_days.definitions.resolve_job_def("check_days")
    result = job.execute_in_process(instance=nine_days.instance, raise_on_error=False)
    failures = [event for event in result.all_events if event.is_step_failure]
    assert {event.node_name for event in failures} == {"lake_status", "read_days"}
    for event in failures:
        text = event.step_failure_data.user_failure_data.description
        assert text == "the store does not answer"


def test_an_export_does_not_wait_for_the_ledger(nine_days):
    result = nine_days.run(DAYS[0], DAYS[0])
    skipped = [e.node_name for e in result.all_events if e.event_type_value == "STEP_SKIPPED"]
    assert (result.success, skipped) == (True, ["read_days"])


def test_a_bar_for_each_day():
    assert bars([None, 0, 1, 50, 100]) == "·▁▁▅█"
    assert bars([0, 0]) == "▁▁"
    assert bars([]) == ""
