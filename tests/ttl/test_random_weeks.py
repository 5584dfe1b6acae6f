"""Weeks of random operation on a real server: nothing that is not proven ever expires.

Time is simulated and ahead of the server's, so that its own TTL monitor finds nothing to delete;
the test deletes by the index that the server shows, at the simulated time. What the lake holds is
read from its objects by Arrow and hashlib, without the lake's code.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.hot_documents import DAY_S, Hot, at, hot
from support.lakes import EXAMPLES

from lake.base.day import Day
from lake.base.errors import Incomplete
from lake.systems.mongo.expiry import MongoExpiry
from lake.ttl import AppliedLimit

FIRST = Day.today().plus(40)
DAYS, MARGIN, LENGTH = 5, 2, 14
HOUR = dt.timedelta(hours=1)

Content = tuple[int, int]  # a document's _id and its value


_FAULTS: dict[str, tuple[Any, ...]] = {
    "late": ([1], [3], [4], [5, 7]),  # documents dated so many days ago
    "array": (3, 4, 6),  # an array with such a date
    "change": (2, 3, 4),  # a document of so many days ago
    "remove": (2, 3, 4, 5),  # by hand
    "damage": (3, 4),  # the object of so many days ago
    "export": (False,),
    "guard": (False,),
}
_USUAL = {"late": [], "array": 0, "change": 0, "remove": 0, "damage": 0}


def history_of(faults: list[str], chance: random.Random) -> list[dict[str, Any]]:
    """Days of operation with these faults on every third or fourth of them."""
    days = []
    for _ in range(LENGTH):
        day = {**_USUAL, "export": True, "guard": True, "documents": chance.randint(1, 3)}
        for fault in faults:
            if chance.random() < 0.3 / len(faults) ** 0.5:
                day[fault] = chance.choice(_FAULTS[fault])
        # Someone puts all of it right now and then: else nothing ever expires again.
        days.append({**day, "mend": chance.random() < 0.2})
    return days


@dataclass
class World:
    """The collection, the lake, the clock, and what the last guard could know."""

    place: Hot
    patch: pytest.MonkeyPatch
    now: dt.datetime
    known: set[Content] = field(default_factory=set)  # at the source, when it began
    proven: set[Content] = field(default_factory=set)  # in the lake then
    guarded: dt.datetime | None = None
    number: int = 0
    expired: int = 0

    def insert(self, when: Any) -> None:
        self.number += 1
        self.place.events.insert_one({"_id": self.number, "timestamp": when, "v": self.number})

    def source(self) -> set[Content]:
        return {(document["_id"], document["v"]) for document in self.place.events.find()}

    def lake(self) -> set[Content]:
        contents: set[Content] = set()
        folder = self.place.config.parent / "lake"
        for claim in (folder / "manifests/events").glob("*.json"):
            manifest = json.loads(claim.read_bytes())
            file = folder / manifest["key"]
            if file.is_file() and (
                hashlib.sha256(file.read_bytes()).hexdigest() == manifest["sha256"]
            ):
                table = pq.read_table(file)
                if table.num_rows:
                    rows = zip(table["_id"].to_pylist(), table["v"].to_pylist(), strict=True)
                    contents |= set(rows)
        return contents

    def today(self) -> Day:
        return Day(self.now.date())

    def guard(self) -> AppliedLimit:
        self.known, self.proven = self.source(), self.lake()
        applied = self.place.apply(clock=lambda: self.now)
        self.guarded = self.now
        return applied

    def sweep(self) -> None:
        """What the TTL monitor does at this time, and whether it was right."""
        limit_s = self.place.limit_s
        if limit_s is None:
            return
        before = self.source()
        cut = self.now - dt.timedelta(seconds=limit_s)
        self.place.events.delete_many({"timestamp": {"$lt": cut}})
        gone = before - self.source()
        self.expired += len(gone)
        assert self.guarded is not None
        if self.now - self.guarded < dt.timedelta(days=MARGIN):
            assert gone & self.known <= self.proven

    def live(self, day: dict[str, Any]) -> None:
        """One day, from the night's export to the next midnight."""
        today = self.today()
        self.now = today.start + HOUR / 2
        if day["export"]:
            self.place.export([today.plus(-1)])
        if day["mend"]:
            self.mend()
        if day["damage"]:
            lake = self.place.config.parent / "lake/tables/events"
            for file in lake.glob(f"day={today.plus(-day['damage'])}/data.parquet"):
                file.write_bytes(file.read_bytes()[:-1] + b"?")
        self.now = today.start + 4 * HOUR
        if day["guard"]:
            self.guard()
        self.sweep()
        self.now = today.start + 10 * HOUR
        for number in range(day["documents"]):
            self.insert(at(today, 100 + number))
        for age in day["late"]:
            self.insert(at(today.plus(-age), 50_000))
        if day["array"]:
            self.insert([at(today.plus(-day["array"])), at(today)])
        if day["change"]:
            self._one_of(today.plus(-day["change"]), lambda document: {"$inc": {"v": 1000}})
        if day["remove"]:
            self._one_of(today.plus(-day["remove"]), None)
        self.sweep()
        self.now = today.end
        self.sweep()

    def _one_of(self, day: Day, change: Any) -> None:
        query = {"timestamp": {"$gte": day.start, "$lt": day.end}}
        if change is None:
            self.place.events.delete_one(query)
        else:
            self.place.events.update_one(query, change(query))

    def mend(self) -> None:
        """A person exports again what the plan complains of, and puts arrays right."""
        self.place.events.update_many(
            {"timestamp.0": {"$exists": True}}, {"$set": {"timestamp": at(self.today(), 0)}}
        )
        dated = {"timestamp": {"$type": "date"}}
        for day in sorted(
            {Day(document["timestamp"].date()) for document in self.place.events.find(dated)}
        ):
            if not day < self.today():
                continue
            try:
                self.place.export([day], force=True)
            except (
                Incomplete
            ):  # it has fewer rows now: the lake keeps what it has, if that is whole
                if not self._is_whole(day):
                    self.place.export([day], force=True, allow_shrink=True)
                    continue
                # A late document of a day that has begun to expire: no export takes it any more.
                for number, value in self.source() - self.lake():
                    of_day = {"timestamp": {"$gte": day.start, "$lt": day.end}}
                    self.place.events.delete_one({"_id": number, "v": value, **of_day})

    def _is_whole(self, day: Day) -> bool:
        folder = self.place.config.parent / "lake"
        manifest = json.loads((folder / f"manifests/events/{day}.json").read_bytes())
        data = (folder / manifest["key"]).read_bytes()
        return hashlib.sha256(data).hexdigest() == manifest["sha256"]


@pytest.fixture
def place(tmp_path: Path, mongo_uri: str, mongo_database: str, client: Any) -> Hot:
    made = hot(
        tmp_path, mongo_uri, mongo_database, client, ttl='proof = "contained"\nmax_lag_days = 6'
    )
    text = made.config.read_text()
    text = text.replace("days = 10\n", f"days = {DAYS}\n").replace("mongo = 40000", "mongo = 100")
    made.config.write_text(text)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [*([fault] for fault in _FAULTS), ["late", "remove"], [*_FAULTS]]
)
def test_nothing_expires_that_is_not_proven(
    place: Hot, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    expired = 0
    for seed in range(EXAMPLES or 1):
        expired += _lived(place, monkeypatch, history_of(faults, random.Random(f"{faults} {seed}")))
    assert expired  # it was about something


def _lived(place: Hot, monkeypatch: pytest.MonkeyPatch, history: list[dict[str, Any]]) -> int:
    """How many documents have expired."""
    place.events.drop()
    shutil.rmtree(place.config.parent / "lake", ignore_errors=True)
    world = World(place, monkeypatch, FIRST.start)
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: world.today()))
    monkeypatch.setattr(MongoExpiry, "clock", lambda self: world.now)
    place.events.insert_one({"_id": 0, "timestamp": at(FIRST.plus(-1)), "v": 0})
    for day in history:
        world.live(day)
    # And nothing is held for ever: once all is put right, the wanted limit is set.
    world.now += HOUR
    world.mend()
    final = world.guard()
    unproven = [day for day in final.plan.days if not day.ok]
    assert (final.plan.decision, place.limit_s) == ("limit", DAYS * DAY_S), unproven
    world.sweep()
    return world.expired
