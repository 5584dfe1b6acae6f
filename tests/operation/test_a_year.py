"""A year of operation, day by day, with failures: no row is lost, none is deleted wrongly, and each
failure is one message.

What goes wrong, and when, follows from a seed. A day takes about a second of processor time, so the
suite has the first 45 days of one year. Whole years by hand: LAKE_YEAR_DAYS=365
LAKE_YEAR_SEEDS=1-20.
"""

from __future__ import annotations

import datetime as dt
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.operated_settings import LATE, SOURCE
from support.operated_site import Operated, operated
from support.operation_faults import EXPECTED, HEARTBEAT
from support.operation_record import Record, number_of
from support.operation_scene import Scene, Steps
from support.receivers import Receiver

from lake import audit
from lake.api import DataLake
from lake.base import clock
from lake.base.day import Day, day_range
from lake.retention.records import deletions, name_of

DAYS = int(os.environ.get("LAKE_YEAR_DAYS", "45"))
FIRST = Day.today().plus(40)  # ahead of MongoDB's own TTL monitor
_LONGEST = dt.timedelta(days=32)  # of a fault
_PAUSE = (2, 6)  # days without a failure between two


def _seeds() -> list[int]:
    first, _, last = os.environ.get("LAKE_YEAR_SEEDS", "1").partition("-")
    return list(range(int(first), int(last or first) + 1))


@dataclass
class Year:
    """`faults`: what happened, with the day it began and its messages. `quiet`: nothing more goes
    wrong, and no row is late.
    """

    site: Operated
    record: Record
    chance: random.Random
    only: str = ""
    queue: list[Any] = field(default_factory=list)
    fault: Any = None
    scene: Scene | None = None
    steps: Steps | None = None
    since: dt.datetime | None = None
    pause: int = 12
    ended: bool = False
    quiet: bool = False
    faults: list[tuple[str, Day, str]] = field(default_factory=list)

    def live(self) -> None:
        """One day."""
        site, record = self.site, self.record
        site.at(0.2)
        if self.steps is None and not self.quiet:
            self.pause -= 1
            if self.pause < 0:
                self._begin()
        self._step()
        if self.steps and self.since:
            notes = self.scene.notes if self.scene else ""
            assert site.now - self.since < _LONGEST, f"no end, no alert: {self.faults[-1]} {notes}"
        self._expired()
        site.night()
        record.look()
        if not ({"retention", "daemon"} & site.off or site.store_error):
            record.nothing_else_stays()
        site.at(12)
        self._expired()
        self._step()
        record.look()
        if site.today.date.day == 1:
            done = site.command("snapshots", "clean")
            assert done.exit_code == 0, done.output
        site.tick(brief=True)
        if self.steps is None and self.fault:
            self._end()
        self._write()
        site.at(20)
        self._expired()
        site.tick(brief=True)
        if not self.fault and not self.ended:
            open_, last = [alert.title for alert in site.notifications.open], self.faults[-1:]
            assert site.today in site.pinged, ("no heartbeat", last, open_, site.failures)
        self.ended = False
        site.at(23.9)
        site.now = site.today.end

    def _begin(self) -> None:
        if not self.queue:
            self.queue = list(EXPECTED)
            self.chance.shuffle(self.queue)
        self.fault = self.queue.pop()
        self.scene = Scene(self.site, self.record, self.chance)
        self.since = self.site.now
        self.steps = self.fault(self.scene)
        self.site.closely = True
        self.faults.append((self.fault.__name__, self.site.today, ""))

    def _step(self) -> None:
        if self.steps and next(self.steps, "over") == "over":
            self.steps = None

    def _end(self) -> None:
        """Exactly one alert, and nothing is open any more."""
        site, what = self.site, f"{self.faults[-1]}: {self.scene.notes if self.scene else ''}"
        fired = site.begun(self.since)
        expected = EXPECTED[self.fault]
        if expected == (HEARTBEAT,):
            days = day_range(Day(self.since.date()), site.today)
            assert any(day not in site.pinged for day in days), what
            expected = ()
        assert len(fired) == bool(expected), (what, fired)
        assert set(fired) <= set(expected), (what, fired)
        assert site.notifications.open == [], (
            what,
            [alert.title for alert in site.notifications.open],
        )
        site.closely = False
        self.fault, self.ended, self.pause = None, True, self.chance.randint(*_PAUSE)

    def _expired(self) -> None:
        self.record.look()
        self.record.expire()

    def _write(self) -> None:
        """The day's rows, and now and then some that are late, but in time."""
        today = self.site.today
        for dataset in SOURCE:
            for number in range(self.chance.randint(0, 2)):
                self.record.write(dataset, today.start + dt.timedelta(hours=10, seconds=number))
        if self.chance.random() < 0.15 and not (self.fault or self.quiet):
            dataset = self.chance.choice(list(SOURCE))
            day = today.plus(-self.chance.randint(1, LATE[SOURCE[dataset]]))
            if day >= FIRST.plus(-1):  # [lake] first_day: what is before is not exported
                self.record.write(dataset, day.start + dt.timedelta(hours=23))


@pytest.mark.slow
@pytest.mark.timeout(300 + 20 * DAYS)
@pytest.mark.parametrize("seed", _seeds())
def test_a_year(
    seed: int,
    tmp_path: Path,
    mongo_uri: str,
    mongo_database: str,
    client: Any,
    receiver: Receiver,
) -> None:
    site = operated(tmp_path, mongo_uri, mongo_database, client, receiver, FIRST)
    year = Year(site, Record(site), random.Random(seed))
    with clock.simulated(lambda: site.now):
        site.at(12)
        for dataset in SOURCE:
            year.record.write(dataset, FIRST.plus(-1).start + dt.timedelta(hours=8))
        for _ in range(DAYS):
            year.live()
        while year.steps:  # what is open ends
            year.live()
        year.quiet = True  # a row that was late on the last day is exported in the night after
        year.live()
        _proven(year, receiver)


def _proven(year: Year, receiver: Receiver) -> None:
    """What the whole year has to show."""
    site, record = year.site, year.record
    if DAYS >= 365:
        assert {name for name, _, _ in year.faults} == {fault.__name__ for fault in EXPECTED}
    assert site.undelivered == []
    fired = [text for text in receiver.texts if "white_check_mark" not in text]
    assert len(fired) == sum(not message.alert.is_resolved for message in site.sent) + site.refused
    beats = [path for method, path, _ in receiver.requests if method == "GET"]
    assert len(beats) == len(site.pinged)
    lake = DataLake(site.settings)
    for dataset in SOURCE:  # by SQL
        rows = [(row["day"], number_of(dataset, row)) for row in lake.read(dataset).to_pylist()]
        assert sorted(rows) == sorted(record.expected(dataset))
    assert audit.check(site.store).problems == ()
    done = site.command("verify")
    assert done.exit_code == 0, done.output
    deleted = [
        name_of(item)
        for deletion, ended in deletions(site.store)
        for item in deletion.items
        if item.kind == "table" and ended and name_of(item) not in ended.kept
    ]
    assert sorted(deleted) == sorted(f"table {name} {day}" for name, day in record.over.elements())
