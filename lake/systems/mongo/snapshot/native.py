"""Our own writer of mongodump's layout, `mongodump --gzip`.

Belongs here: collections as files, metadata, what need not be read again. Does not: which
collections are dumped (mongo), mongodump itself (mongodump).

`<database>/<collection>.bson.gz` holds the documents one after the other, in the order of `_id`
(a capped collection's in natural order), `<collection>.metadata.json.gz` the definition. A
time-series collection lies in `system.buckets.<collection>.bson.gz`, as its buckets. Source:
https://www.mongodb.com/docs/database-tools/mongodump/

The documents are cut into gzip members of about 4 MiB where their own bytes decide, so that
documents that were added or removed change the members around them only, and the others need
not be uploaded again.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from lake.base.errors import BadData, TransientError
from lake.snapshots.collecting import Collector
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading.connection import Client, explained
from lake.systems.mongo.reading.elements import MalformedError, document_starts
from lake.systems.mongo.snapshot.archive import BUCKETS
from lake.systems.mongo.snapshot.buckets import TimeSeriesShape, buckets
from lake.systems.mongo.snapshot.metadata import PLAIN, dumps
from lake.systems.mongo.snapshot.mongodump import file_name

_LEVEL = 6
_MEMBER_BITS = 22  # members of 4 MiB on average
_MOST_BYTES = 32 << 20
_LENGTH, _MARK = 4, 24  # behind its length, a document begins with the type, name and value of _id
# Error codes of a collection that is not there any more: NamespaceNotFound, QueryPlanKilled.
_GONE = frozenset({26, 175})
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Job:
    """A collection to dump: its listCollections entry and which of its documents."""

    listing: dict[str, Any]
    question: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The collection's."""
        return str(self.listing["name"])

    @property
    def is_view(self) -> bool:
        """Whether it has no documents of its own."""
        return self.listing.get("type") == "view"

    @property
    def is_time_series(self) -> bool:
        """Whether mongorestore expects its buckets."""
        return "timeseries" in self.listing.get("options", {})

    @property
    def data_name(self) -> str:
        """The name that its documents' file has."""
        return f"{BUCKETS}{self.name}" if self.is_time_series else self.name

    @property
    def has_natural_order(self) -> bool:
        """Whether the order of its documents is a part of it, or is the one to read them in."""
        return bool(self.listing.get("options", {}).get("capped")) or self.is_time_series


def indexes_of(client: Client, section: MongoSource, name: str) -> list[Any]:
    """As listIndexes returns them."""
    database = client.get_database(section.database, codec_options=PLAIN)
    with _explained(section, name):
        answer = database.command("listIndexes", name, cursor={"batchSize": 1000})
        return list(answer["cursor"]["firstBatch"])


@contextmanager
def _explained(section: MongoSource, name: str) -> Iterator[None]:
    """As `explained`; raises TransientError where the collection was dropped meanwhile."""
    with explained(section, f"collection {name}"):
        try:
            yield
        except OperationFailure as error:
            if error.code not in _GONE:
                raise
            raise TransientError(
                "a collection was dropped or renamed during the snapshot",
                where=f"collection {name} of {section.database}",
                found=f"{error.details and error.details.get('errmsg')} (code {error.code})",
                remedy="take the snapshot again",
            ) from error


class NativeDump:
    """One dump of a database's collections."""

    def __init__(self, client: Client, section: MongoSource, into: Collector) -> None:
        self._client, self._section, self._into = client, section, into

    def run(self, jobs: list[Job]) -> dict[str, int]:
        """The number of documents of each collection."""
        counts: dict[str, int] = {}
        into = self._into
        for job in jobs:
            into.content(self._metadata(job), self._path(job.name, "metadata.json"))
            if job.is_view:
                continue
            path = self._path(job.data_name, "bson")
            dumped = self._measurements if job.is_time_series else self._documents
            with _explained(self._section, job.name):
                counts[job.name] = dumped(job, path)
        into.wait()
        return counts

    def _path(self, collection: str, kind: str) -> str:
        return f"{file_name(self._section.database)}/{file_name(collection)}.{kind}.gz"

    def _metadata(self, job: Job) -> bytes:
        """As mongodump writes it: options, indexes, UUID, name and type."""
        indexes = [] if job.is_view else indexes_of(self._client, self._section, job.name)
        content: dict[str, Any] = {
            "indexes": indexes,
            "collectionName": job.name,
            "type": "timeseries"
            if job.is_time_series
            else str(job.listing.get("type", "collection")),
        }
        if "uuid" in job.listing.get("info", {}):
            content["uuid"] = job.listing["info"]["uuid"].hex()
        content["options"] = job.listing.get("options", {})
        return gzip.compress(dumps(content), _LEVEL, mtime=0)

    def _documents(self, job: Job, path: str) -> int:
        """Streams the collection; the same documents give the same bytes. Their number."""
        cut, rows = _Cutter(), 0
        with closing(self._read(job)) as batches, self._into.members(path) as add:
            for documents in batches:
                rows += self._checked(job, partial(cut.take, documents))
                for member in cut.members():
                    add(member)
            for member in cut.rest():
                add(member)
        return rows

    def _measurements(self, job: Job, path: str) -> int:
        """A time-series collection as its buckets. The number of measurements."""
        counting = _Counting(self._read(job))
        cut = _Cutter()
        packed = buckets(counting, TimeSeriesShape.of(job.listing["options"]["timeseries"]))
        with closing(counting.batches), self._into.members(path) as add:
            while bucket := self._checked(job, partial(next, packed, b"")):
                cut.take(bucket)
                for member in cut.members():
                    add(member)
            for member in cut.rest():
                add(member)
        return counting.documents

    def _checked(self, job: Job, step: Callable[[], _Result]) -> _Result:
        try:
            return step()
        except MalformedError as error:
            raise BadData("not valid BSON", where=f"collection {job.name}", found=error) from error

    def _read(self, job: Job) -> Generator[bytes]:
        """Batches of documents, in the collection's natural order where it has one, else by _id."""
        collection = self._client[self._section.database].get_collection(
            job.name, codec_options=CodecOptions(document_class=RawBSONDocument)
        )
        order = [("$natural", 1)] if job.has_natural_order else [("_id", 1)]
        # The cursor returns bytes, whatever its type.
        cursor: Any = collection.find_raw_batches(job.question, sort=order, allow_disk_use=True)
        with cursor:
            yield from cursor


class _Counting:
    """The documents of batches, one by one; `documents` is how many there have been."""

    def __init__(self, batches: Generator[bytes]) -> None:
        self.batches = batches
        self.documents = 0

    def __iter__(self) -> Iterator[bytes]:
        for batch in self.batches:
            starts = document_starts(batch)
            for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
                self.documents += 1
                yield bytes(batch[start:end])


class _Cutter:
    """Cuts a stream of documents behind those whose own bytes decide it.

    The chance grows with a document's size, so that members have the same size on average,
    whatever the documents' size.
    """

    def __init__(self) -> None:
        self._held: list[memoryview] = []
        self._held_bytes = 0
        self._ready: list[bytes] = []

    def take(self, documents: bytes) -> int:
        """The number of documents. Raises MalformedError."""
        view, starts, begin = memoryview(documents), document_starts(documents), 0
        ends = [*starts[1:], len(documents)] if starts else []
        for start, end in zip(starts, ends, strict=True):
            size = end - start
            mark = zlib.crc32(view[start + _LENGTH : min(start + _MARK, end)])
            full = self._held_bytes + end - begin >= _MOST_BYTES
            if full or mark < size << (32 - _MEMBER_BITS):
                self._hold(view[begin:end])
                self._close()
                begin = end
        self._hold(view[begin:])
        return len(starts)

    def _hold(self, part: memoryview) -> None:
        if part:
            self._held.append(part)
            self._held_bytes += len(part)

    def _close(self) -> None:
        self._ready.append(b"".join(self._held))
        self._held, self._held_bytes = [], 0

    def members(self) -> Iterator[bytes]:
        """Those that are whole."""
        ready, self._ready = self._ready, []
        yield from ready

    def rest(self) -> Iterator[bytes]:
        """What is left at the end."""
        if self._held:
            self._close()
        yield from self.members()
