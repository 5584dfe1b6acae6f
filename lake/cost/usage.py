"""Bytes and objects of a root, by what they are.

Belongs here: one listing, sorted into cells. Does not: money (forecast), rates (growth).

The listing is read page by page. What stays in memory is a cell for each dataset, kind, UTC day,
storage class and state of the version, however many objects there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import PermanentError
from lake.config.settings import Settings
from lake.partition.layout import (
    TABLES,
    partition_of_manifest,
    partition_of_pending,
    partition_of_table,
    rollup_of_manifest,
    rollup_of_object,
)
from lake.store import ObjectVersion, Store
from lake.systems import SYSTEMS

Kind = Literal["table", "rollup", "snapshot", "manifest", "other"]
Follows = Literal["table", "rollup", "snapshot", "manifest", "report", "other"]
KINDS: tuple[Kind, ...] = ("table", "rollup", "snapshot", "manifest", "other")
REPORTS = "reports/"
SMALL = 128 * 1024  # bytes; smaller objects are billed as that in some classes, and not moved there
_SNAPSHOT = re.compile(r"(\w+)/(\d{4})/(\d\d)/(\d\d)/(.+)")


class Cell(NamedTuple):
    """What a group of versions has in common.

    `day` is the UTC day of the data; of a snapshot that on which it was taken; of other objects
    that on which they were written. `dataset` is "" for what belongs to a whole system, `system`
    "" where the dataset is not configured. `follows` is what it is deleted with: of a manifest the
    kind of its object, of a report `report`.
    """

    system: str
    dataset: str
    kind: Kind
    follows: Follows
    day: date
    storage_class: str
    current: bool


@dataclass
class Amount:
    """`small_…` are those of objects below SMALL."""

    objects: float = 0
    bytes: float = 0
    small_objects: float = 0
    small_bytes: float = 0

    def add(self, size: int) -> None:
        """One object more."""
        self.objects += 1
        self.bytes += size
        if size < SMALL:
            self.small_objects += 1
            self.small_bytes += size

    def plus(self, other: Amount) -> None:
        """The other's in addition."""
        self.objects += other.objects
        self.bytes += other.bytes
        self.small_objects += other.small_objects
        self.small_bytes += other.small_bytes


@dataclass
class Usage:
    """`delete_markers` hide objects and take no bytes; `unfinished` uploads take bytes that no
    listing shows, None where they are not listed. `note` is why these or noncurrent versions are
    not in it, "" where they are.
    """

    at: datetime
    cells: dict[Cell, Amount] = field(default_factory=dict)
    delete_markers: int = 0
    unfinished: int | None = 0
    note: str = ""

    def by(self, key: Callable[[Cell], str]) -> dict[str, Amount]:
        """Sums by a property of the cells, the largest first."""
        sums: dict[str, Amount] = {}
        for cell, amount in self.cells.items():
            sums.setdefault(key(cell), Amount()).plus(amount)
        return dict(sorted(sums.items(), key=lambda pair: (-pair[1].bytes, pair[0])))

    @property
    def total(self) -> Amount:
        """The total of every version."""
        total = Amount()
        for amount in self.cells.values():
            total.plus(amount)
        return total


def read_usage(settings: Settings, store: Store, now: datetime | None = None) -> Usage:
    """Lists every version below the root. Raises what the store raises.

    Where noncurrent versions may not be listed, or can't be, the current ones are read alone.
    """
    at = now or utc_now()
    sources = {dataset.name: dataset.source for dataset in settings.dataset}
    try:
        usage = _counted(store.versions(""), sources, at)
    except PermanentError as error:  # no s3:ListBucketVersions, or a server without versions
        usage = _counted(store.versions("", noncurrent=False), sources, at)
        usage.note = _not_counted("noncurrent versions", error)
    try:
        usage.unfinished = len(store.unfinished(""))
    except PermanentError as error:  # not every server, nor every role, lists them
        usage.unfinished = None
        usage.note = "; ".join(
            filter(None, (usage.note, _not_counted("unfinished uploads", error)))
        )
    return usage


def _not_counted(what: str, error: PermanentError) -> str:
    reason = error.parts.get("found")
    return f"{what} are not counted: {error.what}{f' ({reason})' if reason else ''}"


def _counted(versions: Iterable[ObjectVersion], sources: Mapping[str, str], at: datetime) -> Usage:
    usage = Usage(at)
    for version in versions:
        if version.deleted:
            usage.delete_markers += 1
            continue
        place = place_of(version.key, sources, version.modified.astimezone(UTC).date())
        cell = Cell(*place, version.storage_class, version.current)
        usage.cells.setdefault(cell, Amount()).add(version.bytes)
    return usage


def place_of(
    key: str, sources: Mapping[str, str], written: date
) -> tuple[str, str, Kind, Follows, date]:
    """The first members of an object's cell; `sources`: the system of each dataset."""
    partition = _partition(key)
    if partition is not None:
        (dataset, day), kind, follows = partition
        return sources.get(dataset, ""), dataset, kind, follows, day.date
    match = _SNAPSHOT.fullmatch(key)
    if not match or match[1] not in SYSTEMS:
        return "", "", "other", "report" if key.startswith(REPORTS) else "other", written
    kind = "manifest" if match[5] == "manifest.json" else "snapshot"
    try:
        day_of_folder = date(int(match[2]), int(match[3]), int(match[4]))
    except ValueError:  # a folder that is not a day
        day_of_folder = written
    return match[1], "", kind, "snapshot", day_of_folder


def _partition(key: str) -> tuple[tuple[str, Day], Kind, Follows] | None:
    """Of a table, a rollup or one of their manifests."""
    if key.startswith(TABLES):
        partition = partition_of_table(key)
        return partition and (partition, "table", "table")
    if partition := rollup_of_object(key):
        return partition, "rollup", "rollup"
    if partition := partition_of_manifest(key) or partition_of_pending(key):
        return partition, "manifest", "table"
    if partition := rollup_of_manifest(key):
        return partition, "manifest", "rollup"
    return None
