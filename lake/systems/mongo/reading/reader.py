"""The days of MongoDB collections.

Belongs here: which documents a day has, reading and counting them.
Does not: BSON's bytes (scan), columns (schema, columns), connections (connection).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo.errors
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from lake.base.day import Day
from lake.base.errors import BadData, Stopped, UsageError
from lake.config.datasets import Dataset
from lake.pace import Pace, Slowing
from lake.partition.table import TableStream
from lake.privacy.applying import Rules
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading.ahead import one_ahead
from lake.systems.mongo.reading.connection import (
    AUTHENTICATION_FAILED,
    TOLERANT,
    Client,
    connect,
    explained,
    interrupt,
    require_collection,
)
from lake.systems.mongo.reading.elements import MalformedError
from lake.systems.mongo.reading.ruled import ruled_answers
from lake.systems.source import Count

if TYPE_CHECKING:
    from lake.systems.mongo.reading.table import DayTable

_FIRST_INSTANT_MS = -(1 << 63)
_MAX_OBJECT_ID_S = 1 << 32  # ObjectIds count seconds in 32 bits


class MongoReader:
    """Reads collections day by day (a lake.systems.protocol.Source).

    A document belongs to the UTC day of its time field, where that is a date; a name with
    dots goes through sub-documents. An array of dates is no date, though `$gte` would match
    it. With `time_fallback = "_id"` a document without a date belongs to its ObjectId's day.
    Rows are sorted by that time, then by `_id`'s bytes.
    """

    may_count_low = False

    def __init__(self, section: MongoSource) -> None:
        self.lateness_days = section.lateness_days
        self._section = section
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._stopped = False
        self._capped: frozenset[str] | None = None
        self._pace = Pace(section.max_parallel, section.slow_down_at_s, self._ping, name="mongo")

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source. Raises Missing where there is no such collection."""
        from lake.systems.mongo.reading.table import DayTable  # noqa: PLC0415  compiled code

        settings, slowing, rules = _mongo(dataset), Slowing(), dataset.rules()
        with DayTable(settings, day, scratch) as table:
            self._fetch(settings, day, table, slowing, rules)
            if not table.documents:
                self._require_collection(settings)
            stream = table.stream(pace=slowing.details(), **rules.details())
            yield replace(stream, rules=rules.to_json())

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source. Raises Missing where there is no such collection."""
        settings = _mongo(dataset)
        rows = self._count(settings, of_day(settings, day))
        method = "count_documents over the same half-open range"
        return Count(rows, method, overwritten=self._is_overwritten(settings, day))

    def undated(self, dataset: Dataset) -> int | None:
        """Documents whose time field is missing, no date, or an array: of no day.

        With `time_fallback` only those that have no ObjectId either. Raises Missing where
        there is no such collection.
        """
        settings = _mongo(dataset)
        by_index = _no_date_by_index(settings)
        if self._is_exact(settings, by_index):
            return self._count(settings, by_index)
        dated = [_is_date(settings.time_field)]
        if settings.time_fallback:
            dated.append({"_id": {"$type": "objectId"}})
        return self._count(settings, {"$nor": dated})

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source. Raises Missing where there is no such collection."""
        settings = _mongo(dataset)
        before = dated_between(settings, None, start.start_ms)
        return self._count(settings, before) + self._count(
            settings, dated_between(settings, end.start_ms, None)
        )

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """0: what is listed is shown."""
        return 0

    def stop(self) -> None:
        """See Source."""
        self._pace.close()
        with self._lock:
            self._stopped = True
            if self._client is not None:
                interrupt(self._client)

    def close(self) -> None:
        """See Source."""
        self._pace.close()
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        with self._lock:
            if self._stopped:
                raise Stopped(remedy="run it again")
            if self._client is None:
                self._client = connect(self._section)
            return self._client

    def _require_collection(self, mongo_dataset: MongoDataset) -> None:
        require_collection(self._connected(), self._section, mongo_dataset.collection)

    def _count(self, mongo_dataset: MongoDataset, question: dict[str, Any]) -> int:
        collection = self._connected()[self._section.database][mongo_dataset.collection]
        with explained(self._section, f"collection {mongo_dataset.collection}"):
            rows = collection.count_documents(question)
        if not rows:
            self._require_collection(mongo_dataset)
        return rows

    def _is_overwritten(self, mongo_dataset: MongoDataset, day: Day) -> bool:
        """Whether the collection is capped and its first dated document is of no earlier day."""
        database = self._connected()[self._section.database]
        with explained(self._section, f"collection {mongo_dataset.collection}"):
            if self._capped is None:
                self._capped = _capped(database)
            if mongo_dataset.collection not in self._capped:
                return False
            collection = database[mongo_dataset.collection]
            earlier = dated_between(mongo_dataset, None, day.start_ms)
            dated = {"$or": [earlier, dated_between(mongo_dataset, day.start_ms, None)]}
            first = collection.find_one(dated, {"_id": 1}, sort=[("$natural", 1)])
            if first is None:
                return False
            return not collection.count_documents({"$and": [{"_id": first["_id"]}, earlier]})

    def _is_exact(self, mongo_dataset: MongoDataset, by_index: dict[str, Any]) -> bool:
        """Whether an index serves that question, and has met no array.

        Only then it is both quick and right. The other question looks at every document.
        """
        database = self._connected()[self._section.database]
        counting = {"count": mongo_dataset.collection, "query": by_index}
        with explained(self._section, f"collection {mongo_dataset.collection}"):
            try:
                # The plan repeats the question, and so a date that Python can't hold.
                explained_plan = database.command(
                    "explain", counting, verbosity="queryPlanner", codec_options=TOLERANT
                )
            except pymongo.errors.OperationFailure as error:
                if error.code == AUTHENTICATION_FAILED:
                    raise
                return False  # not every server explains, nor to every user
        return is_index_without_arrays(dict(explained_plan).get("queryPlanner"))

    def _ping(self) -> None:
        with explained(self._section, "ping"):
            self._connected().admin.command("ping")

    def _paced(self, cursor: Iterator[Any], slowing: Slowing) -> Iterator[bytes]:
        while True:
            with self._pace.turn(slowing):
                batch = next(cursor, None)
            if batch is None:
                return
            yield batch

    def _fetch(
        self,
        mongo_dataset: MongoDataset,
        day: Day,
        table: DayTable,
        slowing: Slowing,
        rules: Rules,
    ) -> None:
        collection = self._connected()[self._section.database][mongo_dataset.collection]
        where = f"{self._section.uri}, {self._section.database}.{mongo_dataset.collection}"
        with (
            explained(self._section, f"collection {mongo_dataset.collection}"),
            collection.find_raw_batches(of_day(mongo_dataset, day)) as cursor,
            closing(one_ahead(self._paced(cursor, slowing))) as answers,
        ):
            for batch in ruled_answers(answers, rules) if rules else answers:
                try:
                    table.add(batch)
                except MalformedError as error:
                    raise BadData(
                        "a document that is not valid BSON", where=where, found=error
                    ) from error


def _mongo(dataset: Dataset) -> MongoDataset:
    if not isinstance(dataset, MongoDataset):
        raise UsageError(f"{dataset.name!r} is not a dataset of MongoDB")
    return dataset


def _no_date_by_index(mongo_dataset: MongoDataset) -> dict[str, Any]:
    """Documents without a date, where no path leads through an array: all but a date, by range."""
    no_date: dict[str, Any] = {
        mongo_dataset.time_field: {"$not": {"$gte": DatetimeMS(_FIRST_INSTANT_MS)}}
    }
    return no_date | (
        {"_id": {"$not": {"$type": "objectId"}}} if mongo_dataset.time_fallback else {}
    )


def is_index_without_arrays(planner: Any) -> bool:
    """Whether MongoDB's plan reads indexes only, and none that has met an array or leaves
    documents out.
    """
    if not isinstance(planner, Mapping) or "winningPlan" not in planner:
        return False  # a sharded collection reports it otherwise
    stages = list(_stages(planner["winningPlan"]))
    scans = [stage for stage in stages if stage["stage"] in {"IXSCAN", "COUNT_SCAN"}]
    whole = all(
        stage.get("isMultiKey") is False
        and not stage.get("isSparse")
        and not stage.get("isPartial")
        for stage in scans
    )
    return bool(scans) and whole and all(stage["stage"] != "COLLSCAN" for stage in stages)


def _stages(plan: Any) -> Iterator[Mapping[str, Any]]:
    """Each stage of a plan, however it is nested."""
    if isinstance(plan, Mapping):
        if isinstance(plan.get("stage"), str):
            yield plan
        for inner in plan.values():
            yield from _stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _stages(inner)


def _is_date(path: str) -> dict[str, Any]:
    """The question for documents with a date at that path, and no array on the way there.

    Without `$expr`: not every server evaluates it.
    """
    return {"$and": [{path: {"$type": "date"}}, *_without_arrays(path)]}


def _without_arrays(path: str) -> list[dict[str, Any]]:
    steps = path.split(".")
    prefixes = (".".join(steps[:end]) for end in range(1, len(steps) + 1))
    return [{prefix: {"$not": {"$type": "array"}}} for prefix in prefixes]


def _capped(database: Database[RawBSONDocument]) -> frozenset[str]:
    """The capped collections, which overwrite their oldest documents; none where the user may not
    list collections.
    """
    listing = {"listCollections": 1, "cursor": {}}
    try:
        entries = list(database.cursor_command(listing, codec_options=TOLERANT))
    except pymongo.errors.OperationFailure as error:
        if error.code == AUTHENTICATION_FAILED:
            raise
        return frozenset()
    return frozenset(str(each["name"]) for each in entries if each.get("options", {}).get("capped"))


def of_day(mongo_dataset: MongoDataset, day: Day) -> dict[str, Any]:
    """The question for a day's documents; an index on the time field serves it."""
    return dated_between(mongo_dataset, day.start_ms, day.end_ms)


def dated_between(
    mongo_dataset: MongoDataset, start_ms: int | None, end_ms: int | None
) -> dict[str, Any]:
    """The question for the documents of [start, end), ms since the epoch; None: unbounded."""
    between = {"$gte": start_ms, "$lt": end_ms}
    times = {name: DatetimeMS(ms) for name, ms in between.items() if ms is not None}
    dated = {mongo_dataset.time_field: times, **_no_array(mongo_dataset.time_field)}
    start_s = 0 if start_ms is None else start_ms // 1000
    end_s = _MAX_OBJECT_ID_S if end_ms is None else end_ms // 1000
    if not mongo_dataset.time_fallback or not 0 <= start_s < end_s <= _MAX_OBJECT_ID_S:
        return dated
    of_id: dict[str, Any] = {"$gte": _first_id(start_s)}
    if end_s < _MAX_OBJECT_ID_S:
        of_id["$lt"] = _first_id(end_s)
    return {"$or": [dated, {"_id": of_id, "$nor": [_is_date(mongo_dataset.time_field)]}]}


def _no_array(path: str) -> dict[str, Any]:
    """Beside a range of dates: an array matches a range, too, when one of its elements does.

    What does not look into the types leaves the index to every server; in a dotted path
    each sub-document may be an array as well, which only the type shows.
    """
    if "." in path:
        return {"$and": _without_arrays(path)}
    return {f"{path}.0": {"$exists": False}}


def _first_id(second: int) -> ObjectId:
    return ObjectId(second.to_bytes(4, "big") + bytes(8))
