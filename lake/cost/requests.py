"""Requests a month, and what they cost.

Belongs here: counted requests of each operation, how often each runs. Does not: storage
(forecast).

Counted in front of a real S3 server; tests/cost/test_requests.py counts them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.config.settings import Settings
from lake.cost.forecast import Month
from lake.cost.growth import Stream
from lake.cost.policy import Policy
from lake.cost.prices import GB, STANDARD, Region
from lake.cost.usage import Amount
from lake.hot import hot_days
from lake.query.cached_store import FEW
from lake.store.s3_upload import PART_BYTES
from lake.systems.registry import backed_up_systems

_PAGE = 1000  # keys of one LIST
_VERIFIES_PER_DAY = 1 / 7  # docs/operations.md: once a week


@dataclass(frozen=True)
class Counted:
    """Requests of one operation. DELETE is free."""

    put: float = 0
    list: float = 0
    get: float = 0

    def times(self, number: float) -> Counted:
        """Those of `number` operations."""
        return Counted(self.put * number, self.list * number, self.get * number)


# Of a day that is new, its rollup included; a larger object takes a PUT more for each part.
EXPORT = Counted(put=5, list=3, get=5)
RECOUNT = Counted(list=2, get=4)  # of a day that has not changed
SNAPSHOT = Counted(put=3, list=4, get=5)  # beside a PUT for each new object
QUERY = Counted(list=1)
QUERIED_DAY = Counted(get=5)
METRICS = Counted(list=4, get=2)  # beside the ledger
VERIFY_OF_A_DATASET = Counted(list=3)
VERIFIED_DAY = Counted(get=7)  # its rollup included


@dataclass(frozen=True)
class Operation:
    """One operation's requests and the bytes that it reads in a month, and their price."""

    name: str
    requests: Counted
    read_bytes: float
    cost: float

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "operation": self.name,
            "put": self.requests.put,
            "list": self.requests.list,
            "get": self.requests.get,
            "read_bytes": self.read_bytes,
            "cost": self.cost,
        }


def operations(
    settings: Settings, month: Month, added: Mapping[Stream, Amount], policy: Policy, region: Region
) -> list[Operation]:
    """Those of a month with as much in the lake as at its end. `added`: what is added a day."""
    tables = [amount for stream, amount in added.items() if stream.kind == "table"]
    number = len(settings.dataset)
    share = _shares(month.bytes.get("table", {}))
    bytes_a_day = sum(amount.bytes for amount in tables) * policy.growth
    days = {name: share_of * _partitions(month) for name, share_of in share.items()}
    return [
        _priced("export", _exports(number, bytes_a_day), month.days, region),
        _priced("recount", RECOUNT.times(_recounted(settings)), month.days, region),
        _priced("snapshot", _snapshots(settings, added, policy), month.days, region),
        _query(number, bytes_a_day, policy, month.days, region),
        _priced("metrics", _metrics(month).times(policy.metrics_per_day),
                month.days, region),
        _priced(
            "alerts",
            _ledger(month).times(policy.alerts_per_day),  # Dagster's sensor checks it
            month.days,
            region,
        ),
        _verify(number, days, month, region),
    ]  # fmt: skip


def _exports(number: int, bytes_a_day: float) -> Counted:
    parts = math.ceil(bytes_a_day / number / PART_BYTES) if number else 0
    # One PUT, or one to begin, one a part and one to complete.
    return Counted(EXPORT.put + (parts + 1 if parts > 1 else 0), EXPORT.list, EXPORT.get).times(
        number
    )


def _recounted(settings: Settings) -> int:
    days = 0
    for dataset in settings.dataset:
        hot = hot_days(settings, dataset.source)
        days += min(hot.counted_days, hot.kept_days - 1) + len(hot.counted_last())
    return days


def _snapshots(settings: Settings, added: Mapping[Stream, Amount], policy: Policy) -> Counted:
    puts = sum(
        amount.objects + amount.bytes / PART_BYTES
        for stream, amount in added.items()
        if stream.kind == "snapshot"
    )
    own = SNAPSHOT.times(len(backed_up_systems(settings)))
    return Counted(own.put + puts * policy.growth, own.list, own.get)


def _metrics(month: Month) -> Counted:
    ledger = _ledger(month)
    return Counted(0, METRICS.list + ledger.list, METRICS.get + ledger.get)


def _ledger(month: Month) -> Counted:
    """Of all tables, rollups and manifests; the manifests that have not changed are in a cache
    where there are more than FEW.
    """
    partitions = _partitions(month)
    manifests = sum(month.objects.get("manifest", {}).values())
    return ledger(partitions, 0 if manifests > FEW else manifests)


def ledger(partitions: float, read_manifests: float) -> Counted:
    """Reads the state of all days: a partition is a table, a rollup, and a manifest of each."""
    lists = 2 * _pages(partitions) + _pages(2 * partitions)
    return Counted(0, lists, read_manifests)


def _pages(objects: float) -> int:
    """LIST requests for that many objects."""
    return max(1, math.ceil(objects / _PAGE))


def _partitions(month: Month) -> float:
    return sum(month.objects.get("table", {}).values())


def _shares(by_class: Mapping[str, float]) -> dict[str, float]:
    total = sum(by_class.values())
    return {name: size / total for name, size in by_class.items()} if total else {}


def _query(number: int, bytes_a_day: float, policy: Policy, days: int, region: Region) -> Operation:
    """A query reads a dataset's last days whole: the days that have moved in their own class."""
    queries = policy.queries_per_day * days
    storage_class = policy.classes.get("table", STANDARD)
    after = policy.after_days.get("table", 0) if storage_class != STANDARD else policy.query_days
    moved = max(0, policy.query_days - after)
    read = bytes_a_day / number * queries if number else 0.0
    cost = _cost(QUERY.times(queries), region)
    cost += _cost(QUERIED_DAY.times(queries * (policy.query_days - moved)), region)
    cost += _cost(QUERIED_DAY.times(queries * moved), region, storage_class, read * moved)
    requests = Counted(0, QUERY.list * queries, QUERIED_DAY.get * queries * policy.query_days)
    return Operation("query", requests, read * policy.query_days, cost)


def _verify(number: int, days: Mapping[str, float], month: Month, region: Region) -> Operation:
    """Reads every table and its rollup whole."""
    often = _VERIFIES_PER_DAY * month.days
    pages = _pages(_partitions(month) / max(number, 1))
    listed = VERIFY_OF_A_DATASET.times(number * pages * often)
    cost, gets, read = _cost(listed, region), 0.0, 0.0
    for storage_class, partitions in days.items():
        of_class = VERIFIED_DAY.times(partitions * often)
        size = often * sum(
            month.bytes.get(kind, {}).get(storage_class, 0.0) for kind in ("table", "rollup")
        )
        cost += _cost(of_class, region, storage_class, size)
        gets, read = gets + of_class.get, read + size
    return Operation("verify", Counted(0, listed.list, gets), read, cost)


def _priced(name: str, a_day: Counted, days: int, region: Region) -> Operation:
    requests = a_day.times(days)
    return Operation(name, requests, 0.0, _cost(requests, region))


def _cost(
    requests: Counted, region: Region, storage_class: str = STANDARD, read_bytes: float = 0
) -> float:
    """PUT and LIST at STANDARD's price, which the lake writes; GET at that of the class."""
    written = (requests.put + requests.list) * region.class_named(STANDARD).put
    rules = region.class_named(storage_class)
    return (written + requests.get * rules.get) / 1000 + read_bytes / GB * rules.read
