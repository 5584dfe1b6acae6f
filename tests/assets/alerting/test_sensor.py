"""The sensor of alerts itself: its cursor, its channels, the ledger that it reads, its own faults.

Belongs here: what it keeps from one evaluation to the next, and that no fault of its own hides a
failure. Does not: which failures of runs are one message (test_failed_runs.py).
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import requests
from support.alerting_sensor import DAYS, Sensor, fail, titles
from support.lake_file import FILE
from support.on_request import needed

from assets.alerting import NAME
from lake.alerts import Alert
from lake.alerts.failures import HELD, labels_of_days
from lake.base.clock import simulated
from lake.base.errors import Refused
from lake.servers import start

TOKEN = "T01AB2345/B01CD6789/SECRETtoken99"


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


def test_the_ledger_is_read_after_a_clock_was_set_back(place, sensor, receiver):
    """The last look is an hour in the future: the next one does not wait until then."""
    place.source.rows = dict.fromkeys(DAYS, 5)
    place.run(DAYS[0], DAYS[1])
    with simulated(lambda: datetime.now(UTC) + timedelta(hours=1)):
        sensor.tick()
    place.store.write(f"tables/events/day={DAYS[1]}/data.parquet", b"cut")
    sensor.tick()
    assert "critical: events: 1 day is damaged (2026-07-02)" in titles(receiver)
