"""Partitions of documents into a MongoDB: the source's database and collection names.

Belongs here: inserting rebuilt documents, indexes, which version of a document stays.
Does not: the rule by which a row becomes a document (sources.mongo.rebuild), servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pymongo
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.config.datasets import Dataset
from lake.store import Store
from lake.systems.loading import Loaded, Remarks
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader, rebuild
from lake.systems.partitions import Partition, batches_of
from lake.systems.sending import Sending

_ROWS = 2000
_DUPLICATE_KEY = 11000
_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions()
_WIDTHS = "documents have their values; the order of fields and the width of integers may differ"
_INDEX = "{}: has an index on {!r}; the source's other indexes and options are in snapshots only"
_NEWER = "documents that are in two days: of each, the version that was exported last stays: {}"
_NO_INDEX = "{}: no index on {!r}: {}"


def check(datasets: Sequence[Dataset]) -> None:
    """Raises UsageError where two datasets are of one collection: of the same documents."""
    owners: dict[str, str] = {}
    for dataset in datasets:
        if isinstance(dataset, MongoDataset):
            other = owners.setdefault(dataset.collection, dataset.name)
            if other != dataset.name:
                raise UsageError(
                    "two datasets use the same collection",
                    where=f"{other} and {dataset.name}: {dataset.collection}",
                    remedy="replay them into two directories",
                )


class MongoLoader:
    """See Loader. For one server with no other writer; `database` is the source's."""

    def __init__(
        self,
        store: Store,
        uri: str,
        database: str,
        datasets: Sequence[MongoDataset],
        remarks: Remarks,
    ) -> None:
        self._store = store
        section = MongoSource(uri=uri, database=database, slow_down_at="")
        self._reader = MongoReader(section)
        self._client: pymongo.MongoClient[RawBSONDocument] = pymongo.MongoClient(
            uri, document_class=RawBSONDocument, directConnection=True
        )
        self._database = self._client[database]
        self._remarks = remarks
        self._sending = Sending()
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._made: set[str] = set()
        self._loaded: dict[tuple[str, Day | None], Loaded] = {}
        remarks.add(_WIDTHS)

    def load(self, partition: Partition) -> Loaded:
        """See Loader."""
        dataset, manifest = _mongo(partition), partition.manifest
        if dataset.name not in self._made:
            self._make(dataset)
        where = f"{dataset.name} {partition.day}"
        loaded = Loaded(manifest.rows, manifest.rows, manifest.rows)
        self._loaded[dataset.name, partition.day] = loaded
        for batch in batches_of(self._store, manifest, _ROWS):
            rows = batch.to_pylist()
            documents = [RawBSONDocument(rebuild(row, batch.schema)) for row in rows]
            self._sending.send(partial(self._insert, dataset, documents, where))
        return loaded

    def order_of(self, partition: Partition) -> str:
        """See Loader: of two versions of a document the one exported last is to stay."""
        return datetime.fromisoformat(partition.manifest.created_at).astimezone(UTC).isoformat()

    def end_of_day(self) -> None:
        """See Loader."""
        self._sending.finish()

    def finish(self) -> None:
        """See Loader. Building an index at the end costs less than keeping it up to date."""
        for dataset in self._datasets.values():
            self._index(dataset)

    def count(self, day: Day, loaded: Mapping[str, Loaded]) -> dict[str, int]:
        """See Loader: what the source's reader counts."""
        return {name: self._reader.count(self._datasets[name], day).rows for name in loaded}

    def close(self) -> None:
        """See Loader."""
        self._sending.close()
        self._reader.close()
        self._client.close()

    def _make(self, dataset: MongoDataset) -> None:
        self._made.add(dataset.name)
        try:
            self._database.create_collection(dataset.collection)
        except PyMongoError as error:
            raise _refused(error, dataset.name) from error

    def _insert(self, dataset: MongoDataset, documents: list[RawBSONDocument], where: str) -> None:
        """Some of a partition's documents, over those that were exported before it."""
        collection = self._database[dataset.collection]
        try:
            collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            for failed in error.details["writeErrors"]:
                if failed["code"] != _DUPLICATE_KEY:
                    raise Incomplete(
                        "the temporary MongoDB refused a document",
                        where=where,
                        found=failed.get("errmsg"),
                        remedy="put a real mongod on PATH: it accepts what its stand-in refuses",
                    ) from error
                self._replace(dataset, documents[failed["index"]], where)
        except PyMongoError as error:
            raise _refused(error, where) from error

    def _replace(self, dataset: MongoDataset, document: RawBSONDocument, where: str) -> None:
        """The older version was of another day, or twice in this one."""
        collection = self._database[dataset.collection]
        key = {"_id": document["_id"]}
        try:
            old = collection.with_options(_PLAIN).find_one(key, {dataset.time_field: 1})
            collection.replace_one(key, document)
        except PyMongoError as error:
            raise _refused(error, where) from error
        self._remarks.add(_NEWER, 1)
        was = self._loaded.get((dataset.name, _day_of(old or {}, dataset)))
        if was is not None:
            was.countable -= 1
            was.at_least -= 1

    def _index(self, dataset: MongoDataset) -> None:
        try:
            self._database[dataset.collection].create_index(dataset.time_field)
            self._remarks.add(_INDEX.format(dataset.collection, dataset.time_field))
        except OperationFailure as error:
            reason = f"{error.details.get('errmsg') if error.details else error}"
            self._remarks.add(_NO_INDEX.format(dataset.collection, dataset.time_field, reason))
        except PyMongoError as error:
            raise _refused(error, dataset.name) from error


def _mongo(partition: Partition) -> MongoDataset:
    if not isinstance(partition.dataset, MongoDataset):
        raise TypeError(f"not a dataset of MongoDB: {partition.dataset.name}")
    return partition.dataset


def _day_of(document: Mapping[str, Any], dataset: MongoDataset) -> Day | None:
    """The day that a document with its time field and `_id` belongs to."""
    value: Any = document
    for name in dataset.time_field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, datetime):
        return Day(value.date())
    own = document.get("_id")
    return Day(own.generation_time.date()) if isinstance(own, ObjectId) else None


def _refused(error: PyMongoError, where: str) -> Incomplete:
    return Incomplete("the temporary MongoDB did not accept documents", where=where, found=error)
