"""Runs that fail and succeed, and what a webhook gets of them.

Belongs here: exports, backfills, snapshots and rehearsals that ran, one message each. Does not: the
sensor's own state and faults (test_sensor.py), the heartbeat (test_heartbeat.py).
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg
from botocore.exceptions import ClientError
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from support.alerting_sensor import DAYS, fail, titles

from lake.base.day import Day
from lake.base.errors import Refused, TransientError
from lake.export import Exporter
from lake.snapshots.manifest import snapshot_manifest_key
from lake.store.directory import DirectoryStore
from lake.store.s3_failures import explained


def test_a_month_that_fails_is_one_message_and_one_when_it_succeeds(place, sensor, receiver):
    fail(place, DAYS[4:], Refused("the user may not read", remedy="grant it"))
    place.run(DAYS[0], DAYS[-1])
    sensor.tick()
    sensor.tick()
    what = "export failed: events, 27 days (2026-07-05 … 2026-07-31): the user may not read"
    assert titles(receiver) == [f"critical: {what}"]
    assert "remedy: grant it" in receiver.texts[0]
    place.source.faults = {}
    place.run(DAYS[4], DAYS[20])
    sensor.tick()
    assert len(titles(receiver)) == 1  # some of them still fail
    place.run(DAYS[21], DAYS[-1])
    sensor.tick()
    sensor.tick()
    assert titles(receiver)[1:] == [
        "resolved: export failed: events, 10 days (2026-07-22 … 2026-07-31): the user may not read"
    ]


def test_a_backfill_of_several_runs_is_waited_for(place, sensor, receiver, monkeypatch):
    fail(place, DAYS, Refused("the user may not read"))
    states = {"status": BulkActionStatus.REQUESTED}

    def backfill(_: str) -> PartitionBackfill:
        return PartitionBackfill("abc", states["status"], False, {}, datetime.now(UTC).timestamp())

    monkeypatch.setattr(place.instance, "get_backfill", backfill)
    job = place.definitions.resolve_implicit_global_asset_job_def()
    for first, last in ((0, 9), (10, 19), (20, 30)):
        job.execute_in_process(
            instance=place.instance,
            asset_selection=[dg.AssetKey("events")],
            tags={
                "dagster/asset_partition_range_start": DAYS[first],
                "dagster/asset_partition_range_end": DAYS[last],
                "dagster/backfill": "abc",
            },
            raise_on_error=False,
        )
        sensor.tick()
    assert titles(receiver) == []
    states["status"] = BulkActionStatus.COMPLETED_FAILED
    sensor.tick()
    assert titles(receiver) == [
        "critical: export failed: events, 31 days (2026-07-01 … 2026-07-31): the user may not read"
    ]


def test_a_backfill_that_goes_on_for_long_is_not_waited_for(place, sensor, receiver, monkeypatch):
    monkeypatch.setattr("assets.alerting._PATIENCE", timedelta(0))
    fail(place, DAYS, Refused("the user may not read"))
    monkeypatch.setattr(
        place.instance,
        "get_backfill",
        lambda _: PartitionBackfill("abc", BulkActionStatus.REQUESTED, False, {}, 0.0),
    )
    place.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=place.instance,
        asset_selection=[dg.AssetKey("events")],
        tags={"dagster/partition": DAYS[0], "dagster/backfill": "abc"},
        partition_key=DAYS[0],
        raise_on_error=False,
    )
    sensor.tick()
    assert len(titles(receiver)) == 1


def test_other_errors_are_other_causes_and_a_recount_by_the_same_error_is_not(
    place, sensor, receiver
):
    fail(place, DAYS[:2], Refused("the user may not read"))
    place.source.faults |= {DAYS[2]: Refused("no such field")}
    place.run(DAYS[0], DAYS[2])
    place.run(DAYS[0], DAYS[0], config={"recheck": True})
    sensor.tick()
    assert sorted(titles(receiver)) == [
        "critical: export failed: events, 1 day (2026-07-03): no such field",
        "critical: export failed: events, 2 days (2026-07-01 … 2026-07-02): the user may not read",
    ]
    assert "also failed by it: recount" in "".join(receiver.texts)


def test_the_command_line_resolves_it_too(place, sensor, receiver):
    fail(place, DAYS[:1], TransientError("no answer"))
    place.run(DAYS[0], DAYS[0])
    sensor.tick()
    place.source.faults = {}
    sources = dict.fromkeys(("mongo", "prometheus", "loki"), place.source)
    with closing(Exporter(place.settings, place.store, sources)) as exporter:
        exporter.export(place.settings.dataset_named("events"), Day.parse(DAYS[0]))
    place.instance.report_runless_asset_event(  # as the sensor of manifests does
        dg.AssetMaterialization("events", partition=DAYS[0])
    )
    sensor.tick()
    assert [title.partition(":")[0] for title in titles(receiver)] == ["critical", "resolved"]


def test_a_run_that_was_killed(place, sensor, receiver):
    place.instance.add_run(
        dg.DagsterRun(
            job_name="export",
            status=dg.DagsterRunStatus.FAILURE,
            asset_selection=frozenset([dg.AssetKey("lines")]),
            tags={"dagster/partition": DAYS[3]},
        )
    )
    sensor.tick()
    (title,) = titles(receiver)
    assert title.startswith("critical: export failed: lines, 1 day (2026-07-04): the run ended")


def test_a_snapshot(place, sensor, receiver):
    job = place.definitions.resolve_implicit_global_asset_job_def()
    job.execute_in_process(  # nothing listens at the server's address
        instance=place.instance,
        asset_selection=[dg.AssetKey("snapshot_prometheus")],
        raise_on_error=False,
    )
    sensor.tick()
    (title,) = titles(receiver)
    assert title.startswith("critical: snapshot failed: prometheus: ")
    place.instance.report_runless_asset_event(dg.AssetMaterialization("snapshot_prometheus"))
    sensor.tick()
    assert titles(receiver)[1].startswith("resolved: snapshot failed: prometheus")


def test_a_rehearsal_that_fails(place, sensor, receiver):
    """Of a snapshot whose objects are gone; one that is the same as the lake resolves it."""
    day = Day.today().plus(-1)
    place.store.write(snapshot_manifest_key("loki", day), b"{}")
    job = place.definitions.resolve_job_def("rehearse")
    result = job.execute_in_process(instance=place.instance, raise_on_error=False)
    assert not result.success
    sensor.tick()
    sensor.tick()
    (title,) = titles(receiver)
    assert title.startswith("warning: rehearsal failed: rehearsal: ")
    assert "loki" in receiver.texts[0]
    place.instance.report_runless_asset_event(dg.AssetMaterialization("rehearsal"))
    sensor.tick()
    assert titles(receiver)[1].startswith("resolved: rehearsal failed: rehearsal")


def test_a_bucket_that_refuses_is_one_message(place, sensor, receiver, monkeypatch):
    """Exports of two sources and the verification fail by it, and the ledger's check."""

    def refuse(store, key, *_: object, **__: object):
        answer = {"Error": {"Code": "ExpiredToken", "Message": "The token has expired."}}
        raise explained(ClientError(answer, "GetObject"), store.url(key))

    place.source.rows = dict.fromkeys(DAYS, 5)
    monkeypatch.setattr("assets.alerting._CHECKED_EVERY", timedelta(0))
    verify = place.definitions.resolve_job_def("verify")
    with monkeypatch.context() as patch:
        for name in ("list", "stat", "read", "upload", "write"):
            patch.setattr(DirectoryStore, name, refuse)
        for asset in ("events", "lines"):
            assert not place.run(DAYS[0], DAYS[0], asset=asset).success
            sensor.tick()
        verify.execute_in_process(instance=place.instance, raise_on_error=False)
        sensor.tick()
    (title,) = titles(receiver)
    assert title == "critical: export failed: events, 1 day (2026-07-01): S3 refused"
    for asset in ("events", "lines"):
        assert place.run(DAYS[0], DAYS[0], asset=asset).success
    assert verify.execute_in_process(instance=place.instance).success
    sensor.tick()
    assert [title.partition(":")[0] for title in titles(receiver)] == ["critical", "resolved"]
