"""A collection whose documents grow old, a lake of it, and the guard between them.

Belongs here: making both on a real server, looking at what the server holds. Does not: claims.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
from click.testing import CliRunner

from lake.base.day import Day, day_range
from lake.cli.main import root
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import Store
from lake.ttl import AppliedLimit, ExpiryPlan, GuardSite, apply, make_plans
from lake.ttl.site import opened
from lake.ttl.turn import remembered

DAY_S = 86_400
NEVER_S = 2**31 - 1
TODAY = Day.today()
_FILE = """
[lake]
root = "{root}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
lateness_days = 0
timeout_s = 20
[hot]
mongo = 40000
[ttl]
enabled = true
days = 10
margin_days = 2
{ttl}
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
{dataset}
"""


def ago(days: int) -> Day:
    return TODAY.plus(-days)


def at(day: Day, second: int = 43_200) -> dt.datetime:
    return day.start + dt.timedelta(seconds=second)


@dataclass(frozen=True)
class Hot:
    """A lake.toml, and the collection that it names."""

    config: Path
    client: pymongo.MongoClient[dict[str, Any]]
    database: str

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def events(self) -> Any:
        return self.client[self.database]["events"]

    @property
    def store(self) -> Store:
        with closing(Exporter(self.settings)) as exporter:
            return exporter.store

    def insert(self, days: Sequence[Day], each: int = 3) -> None:
        self.events.insert_many(
            {"timestamp": at(day, 1000 * number), "number": number}
            for day in days
            for number in range(each)
        )

    def export(self, days: Sequence[Day], **how: bool) -> None:
        settings = self.settings
        with closing(Exporter(settings)) as exporter:
            for day in days:
                exporter.export(settings.dataset[0], day, **how)

    @contextmanager
    def site(self, **changes: Any) -> Iterator[GuardSite]:
        settings = self.settings
        with (
            closing(Exporter(settings)) as exporter,
            opened(settings, exporter.store, exporter.source) as site,
        ):
            yield GuardSite(**{**site.__dict__, **changes})

    def plan(self, **changes: Any) -> ExpiryPlan:
        with self.site(**changes) as site:
            records = remembered(site.store).datasets
            (plan,) = make_plans(site, site.settings.dataset, records)
        return plan

    def apply(self, *, confirm: Any = lambda plans: None, **changes: Any) -> AppliedLimit:
        with self.site(**changes) as site:
            shown: list[ExpiryPlan] = []
            (applied,) = apply(site, site.settings.dataset, show=shown.append, confirm=confirm)
        assert shown == [applied.plan]
        return applied

    @property
    def limit_s(self) -> int | None:
        """The server's own word."""
        limits = [
            index["expireAfterSeconds"]
            for index in self.events.list_indexes()
            if "expireAfterSeconds" in index
        ]
        assert len(limits) < 2
        return int(limits[0]) if limits else None

    def states(self, plan: ExpiryPlan) -> dict[int, str]:
        """By the age of the day."""
        return {day.day.days_until(TODAY): day.state for day in plan.days}

    def command(self, *words: str) -> Any:
        return CliRunner().invoke(root, [*words, "--config", str(self.config)])

    def entries(self) -> list[dict[str, Any]]:
        """The audit log as anybody sees it who reads its objects."""
        store = self.store
        return [json.loads(store.read(stat.key)) for stat in store.list("audit/")]


def hot(
    folder: Path, uri: str, database: str, client: Any, *, root: str = "lake", **more: str
) -> Hot:
    config = folder / "lake.toml"
    text = {"ttl": "", "dataset": ""} | more
    config.write_text(_FILE.format(root=root, uri=uri, database=database, **text))
    return Hot(config, client, database)


def days(oldest: int, newest: int) -> list[Day]:
    """From `oldest` to `newest` days ago, both included."""
    return list(day_range(ago(oldest), ago(newest - 1)))
