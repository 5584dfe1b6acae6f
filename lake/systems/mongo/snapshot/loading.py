"""Collections into a MongoDB server, from whatever a dump brings.

Belongs here: definitions, documents, indexes, what is held back. Does not: files and archives
(mongo_load, mongo_archive).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from lake.base.errors import BadData, Incomplete
from lake.systems.mongo.reading.elements import MalformedError, elements
from lake.systems.mongo.snapshot.archive import BUCKETS, plain_name
from lake.systems.mongo.snapshot.buckets import CompressedError, TimeSeriesShape, measurements

NEVER_S = 2147483647  # a TTL index that removes nothing
_BATCH_BYTES = 8 << 20
_EXPIRES = "expireAfterSeconds"
# What listIndexes returns and createIndexes does not accept.
_NOT_OPTIONS = ("ns", "v")


@dataclass
class LoadedDump:
    """Documents by collection; `remarks` for what is not as it was; `left_out`: collections
    that this server can't hold.
    """

    documents: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass
class _Collection:
    name: str
    options: dict[str, Any]
    indexes: list[dict[str, Any]]
    keeps_buckets: bool = False  # the server, in a collection of their own

    @property
    def shape(self) -> TimeSeriesShape | None:
        series = self.options.get("timeseries")
        return TimeSeriesShape.of(series) if series else None


class DumpLoader:
    """One database. First every `define`, then `add` in any order, then `finish`.

    `hold_ttl`: nothing expires in the server. Raises Incomplete (refused by the server), BadData.
    """

    def __init__(self, client: MongoClient[dict[str, Any]], name: str, *, hold_ttl: bool) -> None:
        self._database = client[name]
        self._hold_ttl = hold_ttl
        self._collections: dict[str, _Collection] = {}
        self._views: list[tuple[str, dict[str, Any]]] = []
        self.loaded = LoadedDump()

    def define(self, metadata: dict[str, Any]) -> None:
        """Creates the collection; a view at the end, behind what it looks at."""
        name, options = str(metadata["collectionName"]), dict(metadata.get("options", {}))
        if metadata["type"] == "view":
            self._views.append((name, options))
            return
        if self._hold_ttl and _EXPIRES in options:
            self._remark(name, "the option", options.pop(_EXPIRES))
        self._create(name, options)
        collection = _Collection(name, options, metadata.get("indexes", []))
        collection.keeps_buckets = collection.shape is not None and keeps_buckets(
            self._database, name
        )
        self._collections[name] = collection
        self.loaded.documents[name] = 0

    def add(self, data_name: str, documents: Iterable[bytes]) -> None:
        """Documents of the collection, or of a time-series collection's buckets."""
        name = plain_name(data_name)
        collection = self._collections.get(name)
        if collection is None:
            collection = self._collections.get(data_name)
        if collection is None:
            raise BadData("documents of a collection without its metadata", where=data_name)
        if collection.shape is None:
            self._insert(collection, collection.name, documents)
        elif name not in self.loaded.left_out:
            self._add_series(collection, collection.shape, documents)

    def finish(self) -> LoadedDump:
        """Indexes and views."""
        for collection in self._collections.values():
            self._index(collection)
        for name, options in self._views:
            self._create(name, options)
        return self.loaded

    def _create(self, name: str, options: dict[str, Any]) -> None:
        try:
            self._database.command({"create": name, **options})
        except PyMongoError as error:
            raise Incomplete(
                "a collection could not be created", where=self._where(name), found=error
            ) from error

    def _add_series(
        self, collection: _Collection, shape: TimeSeriesShape, documents: Iterable[bytes]
    ) -> None:
        """Measurements are inserted as such, so that any server files them as it likes.

        Only compressed buckets go where they were, for nothing here unpacks them.
        """
        inserted: list[bytes] = []
        for document in documents:
            try:
                is_measurement = any(
                    name == shape.time_field for _, name, _, _ in elements(document, 0)
                )
                inserted += [document] if is_measurement else measurements(document, shape)
            except CompressedError as error:
                if not collection.keeps_buckets:
                    self._leave_out(collection, error)
                    return
                self._insert(collection, BUCKETS + collection.name, [document])
            except MalformedError as error:
                raise BadData(
                    "not a time-series bucket", where=self._where(collection.name), found=error
                ) from error
        self._insert(collection, collection.name, inserted)

    def _leave_out(self, collection: _Collection, why: Exception) -> None:
        self.loaded.left_out.append(collection.name)
        self.loaded.remarks.append(
            f"{collection.name} is left out: {why}, which only a real mongod on PATH takes"
        )

    def _insert(self, collection: _Collection, name: str, documents: Iterable[bytes]) -> None:
        # Documents may be older than the validator that the collection has now.
        bypass = None if collection.shape else True
        ordered = bool(collection.options.get("capped"))
        for batch in _batches(documents):
            try:
                self._database[name].insert_many(
                    [RawBSONDocument(document) for document in batch],
                    ordered=ordered,
                    bypass_document_validation=bypass,
                )
            except BulkWriteError as error:
                failed = error.details["writeErrors"]
                raise Incomplete(
                    "documents were refused by the server",
                    where=self._where(name),
                    found=f"{len(failed)} of {len(batch)}: {failed[0].get('errmsg')}",
                    remedy="put a real mongod on PATH: it accepts what its stand-in refuses",
                ) from error
            except PyMongoError as error:
                raise Incomplete(
                    "the load was interrupted", where=self._where(name), found=error
                ) from error
            self.loaded.documents[collection.name] += len(batch)

    def _index(self, collection: _Collection) -> None:
        for index in collection.indexes:
            if index["name"] == "_id_" or index.get("clustered"):
                continue
            options = {key: value for key, value in index.items() if key not in _NOT_OPTIONS}
            if self._hold_ttl and _EXPIRES in options:
                self._remark(collection.name, f"the TTL index {index['name']}", options[_EXPIRES])
                options[_EXPIRES] = NEVER_S
            try:
                self._database.command("createIndexes", collection.name, indexes=[options])
            except OperationFailure as error:
                self.loaded.remarks.append(
                    f"{collection.name}: the index {index['name']} was refused: {error}"
                )

    def _remark(self, collection: str, what: str, seconds: Any) -> None:
        self.loaded.remarks.append(removes_nothing(collection, what, seconds))

    def _where(self, name: str) -> str:
        return f"{self._database.name}.{name}"


def removes_nothing(collection: str, what: str, seconds: Any) -> str:
    """The remark about a time to live that is held."""
    return f"{collection}: {what} removes nothing (it was {seconds} s)"


def keeps_buckets(database: Any, name: str) -> bool:
    """Whether the server keeps this time-series collection as MongoDB does."""
    collections = list(database.list_collections(filter={"name": name}))
    return bool(collections) and collections[0].get("type") == "timeseries"


def _batches(documents: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
