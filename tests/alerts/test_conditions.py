"""What the ledger shows: rows that go, with the hour; `lake alert check`; the daily cycle."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.ledger_days import TODAY, ago, export, lake, recounted

from lake.alerts import conditions
from lake.alerts.cycle import finished_cycle
from lake.base.day import Day
from lake.partition.ledger import read_manifest
from lake.snapshots.manifest import snapshot_manifest_key
from lake.ttl.turn import KEY
from lake.verified import record

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)


@pytest.fixture
def place(tmp_path):
    """`requests` is kept for 3 days, `lines` for 5, `events` for 40."""
    return lake(tmp_path, ago(3))


def complete(place, *names: str) -> None:
    _, settings, store = place
    for name in names:
        export(store, settings, name, [ago(3), ago(2), ago(1)])


def coming(place, name: str) -> None:
    """The days of the next fortnight are exported, too: at a later time nothing else is missing."""
    _, settings, store = place
    export(store, settings, name, [ago(-n) for n in range(14)])


def shown_alerts(place, now=NOW) -> dict[str, tuple[str, str]]:
    """Name and dataset → severity and summary; without the age of made-up manifests."""
    _, settings, store = place
    alerts = conditions(settings, store, now)
    return {
        f"{alert.name} {alert.labels.get('dataset', '')}".strip(): (alert.severity, alert.summary)
        for alert in alerts
        if alert.name != "LakeNoExportSuccess"
    }


@pytest.mark.parametrize(
    ("hours_before", "severity"),
    [(49, None), (47, "warning"), (25, "warning"), (23, "critical"), (-1, "critical")],
)
def test_rows_that_go_with_the_hour(place, hours_before, severity):
    """The first unproven day of `lines` is 2 days ago: its first row goes in 3 days."""
    complete(place, "events", "requests")
    _, settings, store = place
    export(store, settings, "lines", [ago(3), ago(1)])
    goes = ago(2).start + timedelta(days=5)
    assert goes == TODAY.plus(3).start
    alerts = shown_alerts(place, goes - hours_before * HOUR)
    if severity is None:
        assert "LakeRowsExpiring lines" not in alerts
    else:
        assert alerts["LakeRowsExpiring lines"] == (
            severity,
            f"lines: loki deletes the first unproven row at {TODAY.plus(3)} 00:00 UTC",
        )


@pytest.mark.parametrize(("exported", "days_before"), [([6, 5, 4], 2), ([6, 5, 4, 1], 0)])
def test_where_a_dataset_is_exported_no_more_late_rows_go_first(tmp_path, exported, days_before):
    """The first missing day is 3 days ago; nobody counts what comes late before it."""
    place = lake(tmp_path, ago(6), loki=9, late="lateness_days = 2")
    _, settings, store = place
    export(store, settings, "events", [ago(n) for n in range(1, 7)])
    export(store, settings, "requests", [ago(n) for n in range(1, 7)])
    export(store, settings, "lines", [ago(n) for n in exported])
    goes = ago(3).plus(9 - days_before).start
    assert "LakeRowsExpiring lines" not in shown_alerts(place, goes - 49 * HOUR)
    severity, summary = shown_alerts(place, goes - 47 * HOUR)["LakeRowsExpiring lines"]
    assert (severity, summary) == (
        "warning",
        f"lines: loki deletes the first unproven row at {Day(goes.date())} 00:00 UTC",
    )
    at = ago(3).plus(9).start - 23 * HOUR
    assert shown_alerts(place, at)["LakeRowsExpiring lines"][0] == "critical"
    at = ago(3).plus(9).start - 25 * HOUR
    assert shown_alerts(place, at)["LakeRowsExpiring lines"][0] == "warning"


def test_a_day_that_differs_has_the_hour_and_no_second_alert(place):
    """Nor when its rows are gone: what differs, differs."""
    complete(place, "events", "requests", "lines")
    _, settings, store = place
    recounted(store, "lines", ago(2), 99)
    coming(place, "lines")
    goes = ago(2).start + timedelta(days=5)
    stages = []
    for hours in (-60, -40, -20, 20, 80):
        alerts = conditions(settings, store, goes + hours * HOUR)
        (alert,) = (alert for alert in alerts if alert.labels.get("dataset") == "lines")
        stages.append((alert.name, alert.severity, alert.stage))
    assert stages == [("LakeDayDiffers", "warning", stage) for stage in (0, 1, 2, 2, 3)]


def test_damage_that_is_about_to_expire_is_one_alert_with_the_hour(place):
    complete(place, "events", "requests", "lines")
    _, settings, store = place
    store.delete(f"tables/lines/day={ago(2)}/data.parquet")
    coming(place, "lines")
    goes = ago(2).start + timedelta(days=5)
    soon = {name for name in shown_alerts(place, goes - 3 * HOUR) if name.endswith(" lines")}
    assert soon == {"LakeDayDamaged lines"}
    alerts = conditions(settings, store, goes - 3 * HOUR)
    (damaged,) = (alert for alert in alerts if alert.name == "LakeDayDamaged")
    assert (
        f"loki deletes the first of their rows at {TODAY.plus(3)} 00:00 UTC" in damaged.description
    )
    # `lake export --force` is refused without days.
    assert f"lake export lines --day {ago(2)} --force" in damaged.description


def test_nothing_unproven_is_no_alert_however_short_a_source_keeps_it(place):
    complete(place, "events", "requests", "lines")
    assert shown_alerts(place) == {}


def test_a_lost_day_is_said_for_a_week(place):
    complete(place, "events", "lines")
    _, settings, store = place
    export(store, settings, "requests", [ago(2), ago(1)])
    coming(place, "requests")
    lost_at = ago(3).end + timedelta(days=3)
    assert "LakeRowsLost requests" not in shown_alerts(place, lost_at - HOUR)
    said = shown_alerts(place, lost_at + HOUR)["LakeRowsLost requests"]
    assert said == ("critical", f"requests: prometheus has deleted 1 unproven day ({ago(3)})")
    assert "LakeRowsLost requests" in shown_alerts(place, lost_at + timedelta(days=5))
    assert "LakeRowsLost requests" not in shown_alerts(place, lost_at + timedelta(days=8))


def test_no_export_for_36_hours(place):
    complete(place, "events", "requests", "lines")
    _, settings, store = place
    written = datetime(2026, 11, 1, tzinfo=UTC)  # as `put` has it
    for hours, expected in ((35, []), (37, ["LakeNoExportSuccess"])):
        names = {alert.name for alert in conditions(settings, store, written + hours * HOUR)}
        assert sorted(names & {"LakeNoExportSuccess"}) == expected


def test_lake_alert_check(place, run):
    file, _, store = place
    complete(place, "events", "requests", "lines")
    recounted(store, "events", ago(2), 99)
    store.delete(f"tables/lines/day={ago(1)}/data.parquet")
    code, out, err = run("alert", "check", "--config", str(file))
    assert (code, err) == (1, "")
    assert f"critical: lines: 1 day is damaged ({ago(1)})" in out
    assert f"warning: events: 1 day differs ({ago(2)})" in out
    code, out, _ = run("alert", "check", "--config", str(file), "--json")
    names = {alert["name"] for alert in json.loads(out)["alerts"]}
    assert code == 1
    assert {"LakeDayDamaged", "LakeDayDiffers"} <= names


def test_a_silent_guard(tmp_path):
    place = lake(tmp_path, ago(3), "[ttl]\nenabled = true\ndays = 30\n")
    complete(place, "events", "requests", "lines")
    _, _, store = place
    ran = NOW - 37 * HOUR
    record = {"at": ran.isoformat(), "limit_s": 30 * 86_400, "decision": "limit"}
    store.write(KEY, json.dumps({"datasets": {"events": record}}).encode())
    severity, summary = shown_alerts(place)["LakeGuardSilent events"]
    assert (severity, summary) == (
        "critical",
        "events: the expiry guard has not run for 36 hours",
    )
    assert "LakeGuardSilent events" not in shown_alerts(place, ran + 35 * HOUR)


def test_a_broken_audit_log_is_reported_until_a_verification_finds_none(place):
    complete(place, "events", "requests", "lines")
    _, _, store = place
    record(store, ["events"], [], ["entries 4 to 5 are missing", "entry 7 was altered"])
    assert list(shown_alerts(place).values()) == [
        (
            "critical",
            "the audit log or the records of deletions have 2 problems: entries 4 to 5 are missing",
        )
    ]
    record(store, ["events"], [])  # of a dataset: the log was not looked at
    assert len(shown_alerts(place)) == 1
    record(store, ["events"], [], [])
    assert shown_alerts(place) == {}


def test_the_daily_work_is_done_when_all_of_it_is(tmp_path):
    place = lake(tmp_path, ago(3), "[ttl]\nenabled = true\ndays = 30\n")
    _, settings, store = place
    systems = ["mongo"]

    def done():
        return finished_cycle(settings, store, systems, TODAY)

    complete(place, "events", "requests")
    assert done() is None
    complete(place, "lines")
    assert done() is None
    store.write(snapshot_manifest_key("mongo", TODAY), b"{}")
    assert done() is None
    record = {"at": f"{TODAY}T04:30:10+00:00", "limit_s": 1, "decision": "limit"}
    store.write(KEY, json.dumps({"datasets": {"events": record}}).encode())
    cycle = done()
    assert cycle is not None
    assert (cycle.rows, cycle.datasets, cycle.guards) == (9, 3, 1)
    recounted(store, "events", ago(1), 4)
    assert read_manifest(store, "events", ago(1)) is not None
    assert done() is None
