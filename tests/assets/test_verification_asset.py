"""The weekly verification as Dagster has it, and its alert."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.definitions import build
from lake import audit
from lake.alerts import conditions
from lake.base.day import Day
from lake.partition.layout import table_key
from lake.verified import RECORDS, recorded

DAYS = ["2026-07-01", "2026-07-02"]


@pytest.fixture
def exported(place):
    place.source.rows = dict.fromkeys(DAYS, 5)
    assert place.run(DAYS[0], DAYS[1]).success
    return place


def verify(place) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks by name. A difference fails no run: the alert is the record's."""
    job = place.definitions.resolve_job_def("verify")
    result = job.execute_in_process(instance=place.instance)
    assert len(result.asset_materializations_for_node("verification")) == 1
    return {known.check_name: known for known in result.get_asset_check_evaluations()}


def names_of_alerts(place) -> list[str]:
    return [
        f"{alert.name} {alert.labels.get('dataset') or alert.labels.get('subject')}"
        for alert in conditions(place.settings, place.store)
        if alert.name == "LakeVerifyFailed"
    ]


def test_every_sunday(settings):
    schedule = build(settings).resolve_schedule_def("verify_weekly")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 7 * * 0", "UTC")
    exported = build(settings).resolve_job_def("export").asset_layer.selected_asset_keys
    assert "verification" not in {key.to_user_string() for key in exported}


def test_a_whole_lake(exported):
    checks = verify(exported)
    assert {name: known.passed for name, known in checks.items()} == {
        "objects_match_manifests": True,
        "records_are_whole": True,
    }
    assert recorded(exported.store)["events"].partitions == 2
    assert names_of_alerts(exported) == []


def test_an_altered_object_fails_the_check_and_raises_the_alert(exported):
    key = table_key("events", Day.parse(DAYS[1]))
    whole = exported.store.read(key)
    exported.store.write(key, whole[:40] + b"????" + whole[44:])
    check = verify(exported)["objects_match_manifests"]
    assert not check.passed
    assert check.description == "events 2026-07-02: the object's sha256 is not its manifest's"
    assert names_of_alerts(exported) == ["LakeVerifyFailed events"]
    exported.store.write(key, whole)
    assert verify(exported)["objects_match_manifests"].passed
    assert names_of_alerts(exported) == []


def test_a_cut_off_audit_log_does_too(exported):
    for _ in range(3):
        audit.append(exported.store, "test", "events", "because", details={})
    newest = max(stat.key for stat in exported.store.list("audit/"))
    exported.store.delete(newest)
    check = verify(exported)["records_are_whole"]
    assert not check.passed
    assert "missing" in check.description
    assert recorded(exported.store)[RECORDS].failures == 1
    assert names_of_alerts(exported) == ["LakeVerifyFailed audit log"]
