"""What surrounds a lake in operation: a simulated clock, three sources, the settings, the store.

Belongs here: what the sources get and forget, and what is between the lake and them. Does not: the
runs of the lake (operated_site), its alerts (operated_alerts).

MongoDB is the suite's real server. Its own clock and its TTL monitor are the wall's, so all days
lie ahead of it, where it deletes nothing; `expire` deletes what the index that the server shows
lets expire at the simulated time. Prometheus and Loki are in memory (bounded_source); what they
raise when they are down is what the real clients raise. The store is a directory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import Store, open_store
from support.bounded_source import BoundedSource
from support.operated_settings import HOT, SOURCE
from support.operated_wrappers import Refusing


@dataclass
class Surroundings:
    """`ahead` is how much MongoDB's clock is ahead; `store_error` is raised for each object while
    it is set.
    """

    config: Path
    events: Any
    now: dt.datetime
    sources: dict[str, BoundedSource]
    environment: dict[str, str] = field(default_factory=dict)
    ahead: dt.timedelta = dt.timedelta(0)
    store_error: Callable[[str], LakeError] | None = None
    number: int = 0
    _loaded: dict[tuple[tuple[str, str], ...], Settings] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        key = tuple(self.environment.items())
        if key not in self._loaded:
            self._loaded[key] = load(str(self.config), self.environment)
        return self._loaded[key]

    @property
    def today(self) -> Day:
        return Day(self.now.date())

    @property
    def folder(self) -> Path:
        return self.config.parent / "lake"

    @property
    def store(self) -> Store:
        store: Any = open_store(self.settings)
        return Refusing(store, self.store_error) if self.store_error else store

    @contextmanager
    def exporter(self) -> Iterator[Exporter]:
        with closing(Exporter(self.settings, self.store, self.sources)) as exporter:
            yield exporter

    def at(self, hour: float) -> None:
        self.now = self.today.start + dt.timedelta(hours=hour)

    def write(self, dataset: str, when: dt.datetime) -> int:
        self.number += 1
        if dataset == "events":
            self.events.insert_one({"_id": self.number, "timestamp": when, "v": self.number})
        else:
            self.sources[SOURCE[dataset]].rows[self.number] = when
        return self.number

    @property
    def limit_s(self) -> int | None:
        """As the server shows it."""
        limits = [
            index["expireAfterSeconds"]
            for index in self.events.list_indexes()
            if "expireAfterSeconds" in index
        ]
        return int(limits[0]) if limits else None

    def expire(self) -> dict[str, set[int]]:
        """What the sources forget by now: numbers by dataset."""
        gone = {}
        for dataset in ("requests", "lines"):
            kept = dt.timedelta(days=HOT[SOURCE[dataset]])
            gone[dataset] = self.sources[SOURCE[dataset]].forget_before(self.now - kept)
        if (limit_s := self.limit_s) is not None:
            limit = self.now + self.ahead - dt.timedelta(seconds=limit_s)
            old = {"timestamp": {"$lt": limit}}
            gone["events"] = {document["_id"] for document in self.events.find(old)}
            self.events.delete_many(old)
        return gone
