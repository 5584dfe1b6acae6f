"""Midnight passes while a snapshot is taken, or the clock is set back over it: it is filed under
one day, and holds whole what was over by both readings.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pymongo
import pytest
from support.places import DAY, TODAY

from lake.base.clock import simulated
from lake.snapshot import take_snapshot
from lake.snapshots.manifest import snapshot_days

BEFORE, AFTER = DAY.end - timedelta(seconds=1), DAY.end


class Turning:
    """A clock that shows the first time once, and the second from then on."""

    def __init__(self, first: datetime, then: datetime) -> None:
        self.first, self.then, self.read = first, then, 0

    def __call__(self) -> datetime:
        self.read += 1
        return self.first if self.read == 1 else self.then


@pytest.fixture
def with_documents(place, mongo_uri, app_database):
    """Documents of DAY and of the day before it."""
    with pymongo.MongoClient(mongo_uri) as client:
        days = [DAY.plus(-1), DAY]
        client[app_database].a.insert_many([{"at": day.start} for day in days for _ in range(3)])
    return place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
        dataset=[{"name": "a", "source": "mongo", "collection": "a", "time_field": "at"}],
    )


def test_prometheus_snapshot_before_midnight_and_read_after_it(place, own_prometheus):
    endpoint = own_prometheus.endpoints["prometheus"]
    here = place(
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"]},
    )
    for first, filed, held in ((BEFORE, DAY, []), (AFTER, TODAY, [DAY])):
        with simulated(Turning(first, AFTER)):
            manifest = take_snapshot(here.settings, here.store, "prometheus").manifest
        assert (manifest.day, manifest.held_days()) == (str(filed), held)
        assert manifest.counted_day() == filed.plus(-1)


def test_a_clock_that_is_set_back_over_midnight(with_documents):
    """By the second reading DAY is not over: documents of it are still to come."""
    here, minute = with_documents, timedelta(minutes=1)
    with simulated(Turning(AFTER + 20 * minute, BEFORE - 35 * minute)):
        manifest = take_snapshot(here.settings, here.store, "mongo").manifest
    assert manifest.held_days() == [DAY.plus(-1)]
    with simulated(Turning(AFTER + 20 * minute, AFTER + 21 * minute)):
        manifest = take_snapshot(here.settings, here.store, "mongo").manifest
    assert manifest.held_days() == [DAY.plus(-1), DAY]


def test_a_snapshot_of_the_day_that_was_named(with_documents, lake):
    """Or none: midnight after the day was compared does not file it under the next one."""
    call = ("snapshot", "mongo", "--day", DAY, "--json", "--config", with_documents.config)
    with simulated(Turning(BEFORE, AFTER)):
        code, out, _ = lake(*call)
    assert (code, json.loads(out)["day"]) == (0, str(DAY))
    assert snapshot_days(with_documents.store, "mongo") == [DAY]
