"""A site in operation with its record, as a fault acts on it.

Belongs here: what several kinds of faults need. Does not: the kinds (operation_faults lists them).

A fault is a generator. It is resumed twice a day: before the night's schedules and at 12:00. It
ends at a noon, when everything is right again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.base.day import Day
from support.operated_settings import HOT, SOURCE
from support.operated_site import Operated
from support.operation_record import Record

Steps = Iterator[None]


@dataclass
class Scene:
    """A site with its record, and the seed's choices."""

    site: Operated
    record: Record
    chance: random.Random
    notes: str = ""

    def day(self, youngest: int, oldest: int) -> Day:
        """A day that number of days ago, both included."""
        return self.site.today.plus(-self.chance.randint(youngest, oldest))

    def export_missing(self, dataset: str) -> None:
        """The closed days that the source keeps and the lake does not have."""
        site = self.site
        days = [site.today.plus(-age) for age in range(HOT[SOURCE[dataset]] - 1, 0, -1)]
        site.export_now(dataset, [day for day in days if not table(site, dataset, day).is_file()])

    def has_documents(self, day: Day) -> bool:
        """Whether MongoDB has any of the day."""
        of_day = {"$gte": day.start, "$lt": day.plus(1).start}
        return self.site.events.find_one({"timestamp": of_day}) is not None

    def is_open(self, name: str) -> bool:
        return any(alert.name == name for alert in self.site.notifications.open)


def table(site: Operated, dataset: str, day: Day) -> Path:
    return site.folder / f"tables/{dataset}/day={day}/data.parquet"


def dataset_of(source: str) -> str:
    return next(name for name, of in SOURCE.items() if of == source)
