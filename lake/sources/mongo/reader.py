"""The days of MongoDB collections.

Belongs here: which documents a day has, reading and counting them.
Does not: BSON's bytes (scan), columns (schema, columns), connections (connection).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Any

import pyarrow as pa
from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from lake.base.datasets import Dataset, MongoDataset
from lake.base.day import Day
from lake.base.errors import BadData, UsageError
from lake.base.settings import MongoSource
from lake.base.table import TableStream
from lake.sources.face import Count
from lake.sources.mongo.columns import Builder
from lake.sources.mongo.connection import Client, connect, explained, require_collection
from lake.sources.mongo.layout import dictionary_columns, encodings, sorted_by
from lake.sources.mongo.scan import MalformedError, document_starts, elements
from lake.sources.mongo.schema import Learner
from lake.sources.mongo.spool import Spool
from lake.sources.pace import Pace, Slowing

_DATE, _OBJECT_ID, _DOCUMENT = 0x09, 0x07, 0x03
_int64 = Struct("<q").unpack_from
_MAX_OBJECT_ID_S = 1 << 32  # ObjectIds count seconds in 32 bits


class MongoReader:
    """Reads collections day by day (a lake.sources.Source).

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
        self._pace = Pace(section.max_parallel, section.slow_down_at_s, self._ping, name="mongo")

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source. Raises Missing where there is no such collection."""
        asked = _mongo(dataset)
        with Spool(scratch, day.start_ms) as spool:
            slowing = Slowing()
            self._fetch(asked, day, spool, slowing)
            if not spool.documents:
                self._require_collection(asked)
            learner = Learner(asked.time_field)
            for data, starts in spool.batches():
                learner.learn(data, starts)
            columns = learner.columns()
            builder = Builder(learner.paths, columns)
            details = {
                "documents": spool.documents,
                "spooled_bytes": spool.size_bytes,
                "pace": slowing.details(),
            }
            yield TableStream(
                schema=builder.schema,
                batches=_batches(builder, spool, details),
                sorted_by=sorted_by(columns, asked),
                encodings=encodings(columns),
                dictionary=dictionary_columns(columns),
                details=details,
            )

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source. Raises Missing where there is no such collection."""
        asked = _mongo(dataset)
        rows = self._count(asked, _of_day(asked, day))
        return Count(rows, "count_documents over the same half-open range")

    def undated(self, dataset: Dataset) -> int | None:
        """Documents whose time field is missing, no date, or an array: of no day.

        With `time_fallback` only those that have no ObjectId either. Raises Missing where
        there is no such collection.
        """
        asked = _mongo(dataset)
        types: list[dict[str, Any]] = [{"$ne": [_type_of(asked.time_field), "date"]}]
        if asked.time_fallback:
            types.append({"$ne": [_type_of("_id"), "objectId"]})
        return self._count(asked, {"$expr": {"$and": types}})

    def close(self) -> None:
        """See Source."""
        self._pace.close()
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = connect(self._section)
            return self._client

    def _require_collection(self, asked: MongoDataset) -> None:
        require_collection(self._connected(), self._section, asked.collection)

    def _count(self, asked: MongoDataset, question: dict[str, Any]) -> int:
        collection = self._connected()[self._section.database][asked.collection]
        with explained(self._section, f"collection {asked.collection}"):
            rows = collection.count_documents(question)
        if not rows:
            self._require_collection(asked)
        return rows

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

    def _fetch(self, asked: MongoDataset, day: Day, spool: Spool, slowing: Slowing) -> None:
        collection = self._connected()[self._section.database][asked.collection]
        where = f"{self._section.uri}, {self._section.database}.{asked.collection}"
        with (
            explained(self._section, f"collection {asked.collection}"),
            collection.find_raw_batches(_of_day(asked, day)) as cursor,
        ):
            for batch in self._paced(cursor, slowing):
                try:
                    _spool(batch, asked, day, spool)
                except MalformedError as error:
                    raise BadData("a document that is no BSON", where=where, found=error) from error


def _mongo(dataset: Dataset) -> MongoDataset:
    if not isinstance(dataset, MongoDataset):
        raise UsageError(f"{dataset.name!r} is no dataset of MongoDB")
    return dataset


def _type_of(path: str) -> dict[str, Any]:
    return {"$type": f"${path}"}


def _of_day(asked: MongoDataset, day: Day) -> dict[str, Any]:
    """The question for a day's documents; an index on the time field serves it."""
    between = {"$gte": DatetimeMS(day.start_ms), "$lt": DatetimeMS(day.end_ms)}
    is_date = [_type_of(asked.time_field), "date"]
    dated = {asked.time_field: between, **_no_array(asked.time_field)}
    start_s, end_s = day.start_ms // 1000, day.end_ms // 1000
    if not asked.time_fallback or not 0 <= start_s < end_s <= _MAX_OBJECT_ID_S:
        return dated
    of_id: dict[str, Any] = {"$gte": _first_id(start_s)}
    if end_s < _MAX_OBJECT_ID_S:
        of_id["$lt"] = _first_id(end_s)
    return {"$or": [dated, {"_id": of_id, "$expr": {"$ne": is_date}}]}


def _no_array(path: str) -> dict[str, Any]:
    """Beside a range of dates: an array matches a range, too, when one of its elements does.

    What does not look into the types leaves the index to every server; in a dotted path
    each sub-document may be an array as well, which only the type tells.
    """
    if "." in path:
        return {"$expr": {"$eq": [_type_of(path), "date"]}}
    return {f"{path}.0": {"$exists": False}}


def _first_id(second: int) -> ObjectId:
    return ObjectId(second.to_bytes(4, "big") + bytes(8))


def _spool(batch: Any, asked: MongoDataset, day: Day, spool: Spool) -> None:
    view = memoryview(batch)
    steps = asked.time_field.encode().split(b".")
    starts = document_starts(batch)
    for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
        time, id_ = _locate(batch, start, steps)
        time_ms = None
        if time and time[0] == _DATE:
            time_ms = _int64(batch, time[1])[0]
        elif asked.time_fallback and id_ and id_[0] == _OBJECT_ID:
            time_ms = int.from_bytes(batch[id_[1] : id_[1] + 4], "big") * 1000
        if time_ms is None or not day.start_ms <= time_ms < day.end_ms:
            raise BadData(
                "MongoDB answered with a document of another day",
                where=f"collection {asked.collection}",
                expected=f"{asked.time_field} within {day}",
                found=f"{time_ms} ms since 1970" if time_ms is not None else "no date",
            )
        id_bytes = bytes([id_[0]]) + batch[id_[1] : id_[1] + 15] if id_ else b""
        spool.add(view[start:end], time_ms, id_bytes)


_Place = tuple[int, int]  # BSON type, where the value begins


def _locate(data: bytes, start: int, steps: list[bytes]) -> tuple[_Place | None, _Place | None]:
    """The time field and `_id` of the document that begins at `start`."""
    time = id_ = None
    for tag, name, begin, _ in elements(data, start):
        if name == steps[0] and time is None:
            time = (tag, begin) if len(steps) == 1 else _inner(data, tag, begin, steps[1:])
        if name == b"_id" and id_ is None:
            id_ = (tag, begin)
        if time and id_:
            break
    return time, id_


def _inner(data: bytes, tag: int, begin: int, steps: list[bytes]) -> _Place | None:
    for step in steps:
        if tag != _DOCUMENT:
            return None
        found = (e for e in elements(data, begin) if e[1] == step)
        element = next(found, None)
        if element is None:
            return None
        tag, _, begin, _ = element
    return tag, begin


def _batches(builder: Builder, spool: Spool, details: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    for data, starts in spool.batches():
        yield builder.batch(data, starts)
        details["documents_with_rest"] = builder.tally.with_rest
        details["documents_with_raw"] = builder.tally.with_raw
