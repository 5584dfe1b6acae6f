"""The sensor of alerts: real runs that fail and succeed, and what a webhook gets of them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import requests
from botocore.exceptions import ClientError
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from support.lake_file import FILE
from support.ledger_days import recounted
from support.on_request import needed
from support.receivers import Receiver, http_receiver

from assets.alerting import NAME
from assets.definitions import build
from assets.resources import LakeResource
from lake.alerts import Alert
from lake.alerts.failures import HELD, labels_of_days
from lake.base.day import Day
from lake.base.errors import Refused, TransientError
from lake.config.settings import load
from lake.export import Exporter
from lake.servers import start
from lake.snapshots.manifest import snapshot_manifest_key
from lake.store.directory import DirectoryStore
from lake.store.s3_failures import explained

TOKEN = "T01AB2345/B01CD6789/SECRETtoken99"
DAYS = [f"2026-07-{day:02}" for day in range(1, 32)]


@pytest.fixture(autouse=True)
def _quick_retries_of_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.snapshots.RETRIES", dg.RetryPolicy(max_retries=0))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def alerts(receiver: Receiver) -> str:
    return f'webhook_url = "{receiver.url}/hook"'


@pytest.fixture
def config(tmp_path: Path, alerts: str) -> Path:
    file = tmp_path / "lake.toml"
    hot = "[hot]\nmongo = 19000\nprometheus = 19000\nloki = 19000\n"
    file.write_text(f"{FILE}{hot}[alerts]\n{alerts}\n")
    return file


class Sensor:
    """Its evaluations, one after the other, as the daemon makes them."""

    def __init__(self, place, config: Path) -> None:
        self.place = place
        self.settings = load(str(config), {})
        self.definitions = build(self.settings)
        self.cursor: str | None = None

    def tick(self) -> None:
        sensor = self.definitions.resolve_sensor_def(NAME)
        with dg.build_sensor_context(
            instance=self.place.instance,
            cursor=self.cursor,
            resources={"lake": LakeResource.of(self.settings)},
            definitions=self.definitions,
        ) as context:
            result = sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor


@pytest.fixture
def sensor(place, config) -> Sensor:
    ready = Sensor(place, config)
    ready.tick()
    return ready


def titles(receiver: Receiver) -> list[str]:
    matches = [re.search(r"\*(.+)\*", text) for text in receiver.texts]
    return [match[1] for match in matches if match]


def fail(place, days, error) -> None:
    place.source.rows = dict.fromkeys(DAYS, 5)
    place.source.faults = dict.fromkeys(days, error)


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
    with monkeypatch.context() as patch:
        for name in ("list", "stat", "read", "upload", "write"):
            patch.setattr(DirectoryStore, name, refuse)
        for asset in ("events", "lines"):
            assert not place.run(DAYS[0], DAYS[0], asset=asset).success
            sensor.tick()
        for job in ("verify",):
            place.definitions.resolve_job_def(job).execute_in_process(
                instance=place.instance, raise_on_error=False
            )
        sensor.tick()
    (title,) = titles(receiver)
    assert title == "critical: export failed: events, 1 day (2026-07-01): S3 refused"
    for asset in ("events", "lines"):
        assert place.run(DAYS[0], DAYS[0], asset=asset).success
    assert (
        place.definitions.resolve_job_def("verify")
        .execute_in_process(instance=place.instance)
        .success
    )
    sensor.tick()
    assert [title.partition(":")[0] for title in titles(receiver)] == ["critical", "resolved"]


def test_what_the_ledger_shows(place, sensor, receiver, monkeypatch):
    place.source.rows = dict.fromkeys(DAYS, 5)
    place.run(DAYS[0], DAYS[1])
    monkeypatch.setattr("assets.alerting._CHECKED_EVERY", timedelta(0))
    place.store.write(f"tables/events/day={DAYS[1]}/data.parquet", b"cut")
    sensor.tick()
    assert titles(receiver) == ["critical: events: 1 day is damaged (2026-07-02)"]
    place.run(DAYS[1], DAYS[1], config={"force": True})
    sensor.tick()
    assert titles(receiver)[1:] == ["resolved: events: 1 day is damaged (2026-07-02)"]


@pytest.fixture
def done(place, monkeypatch):
    """Yesterday is exported of every dataset."""
    monkeypatch.setattr("assets.alerting._CYCLE_ENDS", 0)
    monkeypatch.setattr("assets.alerting.daily_systems", lambda settings: [])
    yesterday = str(Day.today().plus(-1))
    place.source.rows = {yesterday: 7}
    for name in ("events", "requests", "samples", "lines"):
        assert place.run(yesterday, yesterday, asset=name).success


@pytest.mark.usefixtures("done")
def test_the_heartbeat(place, receiver, config):
    text = config.read_text() + f'heartbeat_url = "{receiver.url}/beat"\n'
    config.write_text(text)
    sensor = Sensor(place, config)
    receiver.status = 500
    sensor.tick()
    receiver.status = 200
    assert [request[1] for request in receiver.requests] == [
        "/beat"
    ]  # refused, so it is sent again
    receiver.requests.clear()
    for _ in range(3):
        sensor.tick()
    assert [request[1] for request in receiver.requests] == ["/beat", "/hook"]
    (text,) = receiver.texts
    assert f"{Day.today().plus(-1)} is exported and verified" in text
    assert "exports: 4 datasets, 28 rows" in text


@pytest.mark.usefixtures("done")
def test_a_report_that_fails_in_an_unforeseen_way_is_not_sent_again(place, config, monkeypatch):
    called = []

    def broken(*arguments: object) -> None:
        called.append(arguments)
        raise ValueError("not foreseen")

    monkeypatch.setattr("lake.alerts.webhook.post", broken)
    sensor = Sensor(place, config)
    for _ in range(3):
        sensor.tick()
    assert len(called) == 1


@pytest.mark.usefixtures("done")
def test_no_heartbeat_while_an_export_fails(place, sensor, receiver):
    receiver.requests.clear()
    fail(place, DAYS, Refused("the user may not read"))
    place.run(DAYS[0], DAYS[0])
    sensor.cursor = None
    sensor.tick()
    assert len(titles(receiver)) == 1
    assert "export failed" in titles(receiver)[0]


@pytest.mark.usefixtures("done")
def test_what_nobody_foresaw_sends_nothing_twice(place, config, receiver, monkeypatch):
    sensor, called = Sensor(place, config), []

    def broken(*arguments: object) -> None:
        called.append(arguments)
        raise ValueError("not foreseen")

    monkeypatch.setattr("assets.alerting.finished_cycle", broken)
    recounted(place.store, "events", Day.today().plus(-1), 99)
    monkeypatch.setattr("assets.alerting._CHECKED_EVERY", timedelta(0))
    for _ in range(3):
        sensor.tick()
    assert len([title for title in titles(receiver) if "1 day differs" in title]) == 1
    assert len(called) == 3


def test_a_ledger_check_that_nobody_foresaw_hides_no_failure(place, sensor, receiver, monkeypatch):
    def broken(*arguments: object) -> None:
        raise ValueError("not foreseen")

    monkeypatch.setattr("assets.alerting.conditions", broken)
    sensor.cursor = None
    for _ in range(2):
        sensor.tick()
    (title,) = titles(receiver)
    assert "the lake can't be read: an unforeseen error" in title


def test_without_channels_nothing_happens(place, config):
    config.write_text(FILE)
    sensor = Sensor(place, config)
    sensor.tick()
    assert sensor.cursor is None


def test_it_runs_by_default(place):
    sensor = place.definitions.resolve_sensor_def(NAME)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_no_secret_anywhere_when_the_channel_fails(
    place, receiver, config, tmp_path, caplog, monkeypatch, capfd
):
    caplog.set_level(logging.INFO)
    receiver.status, receiver.answer = 403, f"no hook /services/{TOKEN}"
    (tmp_path / "hook").write_text(f"{receiver.url}/services/{TOKEN}\n")
    text = re.sub(r"webhook_url = .*", 'webhook_url_file = "hook"', config.read_text())
    config.write_text(text)
    sensor = Sensor(place, config)
    sensor.tick()
    fail(place, DAYS, Refused(f"the source repeats /services/{TOKEN}"))
    place.run(DAYS[0], DAYS[1])
    sensor.tick()
    assert len(receiver.requests) == 1
    shown = [
        record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")
    ]
    shown += capfd.readouterr()
    assert any("was not accepted by webhook" in text for text in shown)
    stored = [
        str(entry)
        for run in place.instance.get_runs()
        for entry in place.instance.all_logs(run.run_id)
    ]
    for text in (*shown, sensor.cursor, *stored):
        assert "SECRETtoken" not in text
    # What was not accepted waits.
    receiver.status = 200
    sensor.tick()
    assert len(receiver.texts) == 2
    assert "SECRETtoken" not in receiver.texts[1]


@pytest.mark.servers
def test_alertmanager_has_it_until_it_succeeds(place, config):
    needed("alertmanager")
    with start(["alertmanager"]) as running:
        url = running.endpoints["alertmanager"]["url"]
        config.write_text(
            re.sub(r"webhook_url = .*", f'alertmanager_url = "{url}"', config.read_text())
        )
        sensor = Sensor(place, config)
        sensor.tick()
        fail(place, DAYS, Refused("the user may not read"))
        place.run(DAYS[0], DAYS[2])
        sensor.tick()
        (alert,) = requests.get(f"{url}/api/v2/alerts", timeout=20).json()
        assert alert["labels"]["alertname"] == "LakeExportFailed"
        assert "3 days (2026-07-01 … 2026-07-03)" in alert["annotations"]["summary"]
        place.source.faults = {}
        place.run(DAYS[0], DAYS[2])
        sensor.tick()
        assert requests.get(f"{url}/api/v2/alerts", timeout=20).json() == []


def test_what_another_version_kept_otherwise_is_sent_again(place, sensor, receiver):
    """No failure is forgotten, and its end is sent."""
    fail(place, DAYS, Refused("the user may not read"))
    place.run(DAYS[0], DAYS[2])
    sensor.tick()
    kept = json.loads(sensor.cursor)
    kept["book"] = kept.pop("notifications")
    sensor.cursor = json.dumps(kept)
    sensor.tick()
    failed = "export failed: events, 3 days (2026-07-01 … 2026-07-03): the user may not read"
    assert titles(receiver) == [f"critical: {failed}"] * 2
    place.source.faults = {}
    place.run(DAYS[0], DAYS[2])
    sensor.tick()
    assert titles(receiver)[2:] == [f"resolved: {failed}"]


def test_a_guard_that_the_ledger_explained(sensor, receiver, monkeypatch):
    """It is no message when that ends: the cursor keeps it until the guard has run again."""
    labels = labels_of_days("damaged", "events", "mongo")
    damaged = Alert("LakeDayDamaged", "critical", "1 day is damaged", labels=labels)
    ledger = [damaged]
    monkeypatch.setattr("assets.alerting.conditions", lambda *_: ledger)
    monkeypatch.setattr("assets.alerting._CHECKED_EVERY", timedelta())
    kept = json.loads(sensor.cursor)
    subject = {"op": "events", "operation": "guard", "subject": "events", "days": [""]}
    record = subject | {"text": f"{HELD} damaged", "at": datetime.now(UTC).timestamp()}
    sensor.cursor = json.dumps(kept | {"failures": [record | {"backfill": ""}]})
    sensor.tick()
    ledger.clear()
    sensor.tick()
    assert titles(receiver) == ["critical: 1 day is damaged", "resolved: 1 day is damaged"]
    (still,) = json.loads(sensor.cursor)["failures"]
    assert still["explained"]
