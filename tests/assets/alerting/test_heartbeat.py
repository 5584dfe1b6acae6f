"""The heartbeat and the daily report: once a day, after everything has succeeded.

Belongs here: what has to be done before they are sent, and that they are sent once. Does not:
messages about failures (test_failed_runs.py).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.alerting_sensor import DAYS, Sensor, fail, titles
from support.ledger_days import recounted

from lake.base.day import Day
from lake.base.errors import Refused


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
