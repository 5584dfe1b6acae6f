"""Which days a MongoDB snapshot holds whole, from the counts by day of each dataset.

Belongs here: counting documents by UTC day, and what the counts prove. Does not: dumping.

A closed day is whole where nothing of it had been removed: the collection counts at least as
many documents as the day's partition holds, or, where the day is not exported, its documents
were not due to be removed by a TTL index or by `[hot] mongo`, and nothing else removes documents
at times that their day does not show: a TTL index on another field, a capped collection. The
counts are taken before and after the dump; what vanished meanwhile is not whole.

Where lake.toml names no collection, documents have no day; a dump of the whole database then holds
the day that ended last, unless a TTL index has already begun to remove its documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pymongo.errors import OperationFailure

from lake.base.day import Day, day_range
from lake.config.settings import Settings
from lake.partition.definition import proves_day
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.store import Store
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.limits import limit_of
from lake.systems.mongo.reading.connection import Client, explained
from lake.systems.mongo.reading.reader import dated_between, of_day
from lake.systems.mongo.snapshot.metadata import PLAIN

# In a snapshot's details: documents by dataset and day, and what each dataset was then.
DOCUMENTS_BY_DAY, COUNTED_AS = "documents_by_day", "counted_as"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_NEVER_S = 2_147_483_647  # a TTL index that removes nothing
# Error codes of servers that lack an operator: BadValue, FailedToParse, CommandNotFound,
# CommandNotSupported, InvalidPipelineOperator, NotImplemented, unknown expression or stage.
_NO_SUCH_OPERATOR = frozenset({2, 9, 59, 115, 168, 238, 15999, 16436, 31325, 40324})

ByDay = dict[Day, int]


@dataclass(frozen=True)
class Candidates:
    """The closed days that may be whole: those exported, and those that `[hot]` keeps.

    `exported` is the number of rows by dataset and day, of partitions that prove their day:
    those of another definition have other rows.
    """

    exported: dict[str, ByDay]
    since: Day
    today: Day

    @classmethod
    def of(cls, settings: Settings, store: Store, today: Day) -> Self:
        """From lake.toml and the partitions' manifests."""
        exported = {
            mongo_dataset.name: {
                day: row.rows
                for day, row in read_ledger(store, mongo_dataset.name).items()
                if isinstance(row, Manifest) and proves_day(mongo_dataset, row, today)
            }
            for mongo_dataset in mongo_datasets(settings)
        }
        since = min((min(days) for days in exported.values() if days), default=today)
        return cls(exported, min(since, today.plus(-settings.hot.mongo)), today)


def mongo_datasets(settings: Settings) -> list[MongoDataset]:
    """Those of lake.toml."""
    return [dataset for dataset in settings.dataset if isinstance(dataset, MongoDataset)]


def counted_as(dataset: MongoDataset) -> dict[str, Any]:
    """What decides which documents are the dataset's."""
    return {
        "collection": dataset.collection,
        "time_field": dataset.time_field,
        "time_fallback": dataset.time_fallback,
    }


def counted_by_day(
    client: Client, section: MongoSource, dataset: MongoDataset, among: Candidates
) -> ByDay:
    """Documents of each of those days; days without any are left out."""
    collection = client[section.database].get_collection(dataset.collection, codec_options=PLAIN)
    with explained(section, f"collection {dataset.collection}"):
        try:
            answer = list(
                collection.aggregate(
                    _pipeline(dataset, among), allowDiskUse=True, maxTimeMS=_limit_ms(section)
                )
            )
        except OperationFailure as error:
            if error.code not in _NO_SUCH_OPERATOR:
                raise
            return _one_by_one(collection, dataset, among, _limit_ms(section))
    low, high = _number(among.since), _number(among.today)
    numbered = ((row["_id"], int(row["n"])) for row in answer)
    return {
        Day(_EPOCH.date() + timedelta(days=int(number))): count
        for number, count in numbered
        if number is not None and low <= number < high
    }


def _number(day: Day) -> int:
    return day.start_ms // _DAY_MS


def _limit_ms(section: MongoSource) -> int:
    """The server ends the operation when the client gives up on it."""
    return max(1, int(1000 * section.timeout_s))


def _pipeline(dataset: MongoDataset, among: Candidates) -> list[dict[str, Any]]:
    at: Any = f"${dataset.time_field}"
    other = {"$cond": [{"$eq": [{"$type": "$_id"}, "objectId"]}, {"$toDate": "$_id"}, None]}
    own = {
        "$cond": [
            {"$eq": [{"$type": at}, "date"]},
            at,
            other if dataset.time_fallback else None,
        ]
    }
    number = {"$floor": {"$divide": [{"$subtract": [own, _EPOCH]}, _DAY_MS]}}
    wanted = dated_between(dataset, among.since.start_ms, among.today.start_ms)
    return [{"$match": wanted}, {"$group": {"_id": number, "n": {"$sum": 1}}}]


def _one_by_one(collection: Any, dataset: MongoDataset, among: Candidates, limit_ms: int) -> ByDay:
    counts = {
        day: int(collection.count_documents(of_day(dataset, day), maxTimeMS=limit_ms))
        for day in day_range(among.since, among.today)
    }
    return {day: count for day, count in counts.items() if count}


@dataclass(frozen=True)
class Kept:
    """What is known about one dataset's collection: counts by day, and how long it keeps them.

    `ttl_s`: seconds after which a TTL index removes documents; None without one. `otherwise`: see
    removed_otherwise.
    """

    dataset: MongoDataset
    before: ByDay
    after: ByDay
    ttl_s: int | None
    otherwise: str = ""


def ttl_of(field: str | None, options: Mapping[str, Any], indexes: Sequence[Any]) -> int | None:
    """The shortest time, in seconds, after which a date in the field (None: in any) makes
    documents expire.
    """
    limits = [
        limit_of(index)
        for index in indexes
        if field in (None, *index["key"]) and len(index["key"]) == 1
    ]
    measured = options.get("timeseries", {}).get("timeField")
    if measured and field in (None, measured):
        limits.append(limit_of(options))
    return min(
        (seconds for seconds in limits if seconds is not None and seconds < _NEVER_S), default=None
    )


def removed_otherwise(
    field: str, options: Mapping[str, Any], indexes: Sequence[Mapping[str, Any]]
) -> str:
    """What removes documents at a time that the date in the field does not show; "" for nothing."""
    if options.get("capped"):
        return "a capped collection, which removes its oldest documents by size"
    for index in indexes:
        if len(index["key"]) == 1 and field not in index["key"]:
            limit_s = limit_of(index)
            if limit_s is not None and limit_s < _NEVER_S:
                return f"a TTL index on {next(iter(index['key']))} of {limit_s} s"
    return ""


def whole_days(
    settings: Settings, among: Candidates, kept: Sequence[Kept], ended: datetime
) -> list[Day]:
    """The days of which every dataset's documents are in the dump, oldest first.

    They begin with the first day that has documents. A collection without any document may have
    been emptied: of it only those days are whole that the lake has with 0 rows. Without a
    dataset: see whole_without_datasets.
    """
    if not kept:
        return []
    first = min((day for dataset in kept for day in dataset.before), default=among.since)
    days = list(day_range(max(first, among.since), among.today))
    for dataset_counts in kept:
        exported = among.exported[dataset_counts.dataset.name]
        days = [day for day in days if _is_whole(settings, dataset_counts, exported, day, ended)]
    return days


def whole_without_datasets(limits_s: Iterable[int], day: Day, ended: datetime) -> list[Day]:
    """The day that ended last, if nothing of it was due to be removed when the dump ended.

    `limits_s` are the seconds after which TTL indexes remove documents.
    """
    limits = [timedelta(seconds=limit) for limit in limits_s]
    return [day] if all(day.start >= ended - limit for limit in limits) else []


def _is_whole(settings: Settings, kept: Kept, exported: ByDay, day: Day, ended: datetime) -> bool:
    before, after = kept.before.get(day, 0), kept.after.get(day, 0)
    if after < before:
        return False
    expired = kept.ttl_s is not None and day.start < ended - timedelta(seconds=kept.ttl_s)
    if day in exported:
        return before >= exported[day] and not (expired and exported[day])
    if not kept.before or kept.otherwise:
        return False
    return not expired and day.start >= ended - timedelta(days=settings.hot.mongo)
