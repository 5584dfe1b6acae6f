"""Bytes, seconds and cost of a query and of a restore.

Belongs here: both estimates. Does not: which columns are read (lake.query.estimate), prices
(lake.cost).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lake.base.day import Day
from lake.base.errors import Missing
from lake.cost.prices import GB, STANDARD, Prices
from lake.cost.requests import QUERIED_DAY, QUERY
from lake.partition.layout import table_prefix
from lake.query.estimate import Estimate
from lake.query.small_objects import CONNECTIONS
from lake.rehearse.report import PREFIX as REPORTS
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store

_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_REQUEST_SECONDS = 0.03  # of S3, from near by
_QUERY_RATES = (1e9, 100e6)  # bytes a second: a directory, S3
_RESTORE_RATES = (500e6, 100e6)


@dataclass(frozen=True)
class Effort:
    """`bytes` are read from the store. `cost` is in the price list's currency. `archived`: objects
    that S3 has to restore from an archive first, which takes hours.
    """

    bytes: int
    objects: int
    seconds: float
    cost: float
    archived: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        rounded = {"seconds": round(self.seconds, 1), "cost": round(self.cost, 6)}
        return asdict(self) | rounded


@dataclass(frozen=True)
class RestoreEffort:
    """A snapshot that has days which the lake lacks. `measured`: the seconds are those of the last
    rehearsal, by its bytes.
    """

    system: str
    snapshot: Day
    days: tuple[Day, ...]
    effort: Effort
    measured: bool

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "system": self.system,
            "snapshot": str(self.snapshot),
            "days": [str(day) for day in self.days],
            "measured": self.measured,
            **self.effort.to_json(),
        }


def query_effort(
    store: Store, prices: Prices, estimates: Iterable[Estimate], days: dict[str, set[str]]
) -> Effort:
    """The effort of a query; `days` has the keys of the objects that it reads, by dataset."""
    listed = list(estimates)
    size, objects = sum(table.bytes for table in listed), sum(table.objects for table in listed)
    on_s3 = _on_s3(store)
    requests = objects * QUERIED_DAY.get + len(listed) * QUERY.list
    seconds = size / _QUERY_RATES[on_s3]
    if on_s3:
        seconds += requests * _REQUEST_SECONDS / CONNECTIONS
    share = {table.dataset: table.bytes / max(table.all_bytes, 1) for table in listed}
    region, cost, archived = prices.region, 0.0, 0
    for dataset, keys in days.items():
        for version in store.versions(table_prefix(dataset), noncurrent=False):
            if version.key in keys:
                rules = region.class_named(version.storage_class or STANDARD)
                archived += version.storage_class in _ARCHIVED
                cost += QUERIED_DAY.get * rules.get / 1000
                cost += version.bytes * share[dataset] / GB * rules.read
    cost += len(listed) * QUERY.list * region.class_named(STANDARD).put / 1000
    return Effort(size, objects, seconds, cost, archived)


def restore_effort(
    store: Store, prices: Prices, manifest: SnapshotManifest, days: Iterable[Day]
) -> RestoreEffort:
    """Of one snapshot's restore; the server's start is included where a rehearsal measured it."""
    sizes = {stored.key: stored.bytes for stored in manifest.objects}
    cost, archived = 0.0, 0
    for version in store.versions(f"{manifest.system}/", noncurrent=False):
        if version.key in sizes:
            rules = prices.region.class_named(version.storage_class or STANDARD)
            archived += version.storage_class in _ARCHIVED
            cost += rules.get / 1000 + version.bytes / GB * rules.read
    size = sum(sizes.values())
    measured = _rehearsed(store, manifest.system)
    if measured:
        rate, more = measured
        seconds = manifest.bytes / rate + more
    else:
        seconds = size / _RESTORE_RATES[_on_s3(store)]
    effort = Effort(size, len(sizes), seconds, cost, archived)
    return RestoreEffort(
        manifest.system, Day.parse(manifest.day), tuple(sorted(days)), effort, bool(measured)
    )


def _rehearsed(store: Store, system: str) -> tuple[float, float] | None:
    """Restored bytes a second and the seconds after that, by the newest report; None where it has
    none of the system, or can't be read.
    """
    key = max((s.key for s in store.list(REPORTS) if s.key.endswith(".json")), default=None)
    if key is None:
        return None
    try:
        for snapshot in json.loads(store.read(key))["snapshots"]:
            recovery = snapshot["recovery"]
            if snapshot["system"] == system and recovery and snapshot["bytes"]:
                rate = snapshot["bytes"] / max(recovery["download_s"], 0.001)
                return rate, recovery["start_s"] + recovery["first_answer_s"]
    except (ValueError, TypeError, KeyError, Missing):
        return None  # `lake review` reports it
    return None


def _on_s3(store: Store) -> bool:
    return store.url("").startswith("s3://")
