"""TTL indexes of MongoDB: what they would delete, and setting their limit.

Belongs here: indexes, collMod, counts of what expires. Does not: which limit is right (lake.ttl).

MongoDB deletes a document once a date in the index's field is older than the limit: of an array
the earliest one, also where it belongs to no day. A document without a date there never expires.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_preferences import ReadPreference

from lake.base.day import Day
from lake.base.errors import BadData, Refused, UsageError
from lake.base.faults import point
from lake.config.datasets import Dataset
from lake.partition.content import fetch
from lake.partition.manifest import Manifest
from lake.process.scratch import explained_full_disk
from lake.store import Store
from lake.systems.expiry import NEVER_S, ExpiryRule, Index
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.discovery import database_of, indexes_of, listed
from lake.systems.mongo.limits import (
    INDEX_NAME,
    deletes,
    described,
    index_of,
    is_made_here,
    is_on,
    on_field,
)
from lake.systems.mongo.privileges import lacking
from lake.systems.mongo.reading.connection import (
    TOLERANT,
    Client,
    connect,
    explained,
    require_collection,
)
from lake.systems.mongo.reading.reader import dated_between, of_day

_MAX_OBJECT_ID_S = 1 << 32
_UNAUTHORIZED, _NO_SUCH_COMMAND, _NOT_IMPLEMENTED = 13, 59, 238
_RIGHTS = ("createIndex", "collMod")
_ROWS = 1024
# There the TTL monitor deletes. The source's URI may name others, which can be behind.
_PRIMARY = ReadPreference.PRIMARY
_DAY_S = 86_400

Document = dict[str, Any]


class MongoExpiry:
    """See lake.systems.protocol.Expiry. Safe to use from several threads."""

    def __init__(self, section: MongoSource) -> None:
        self._section = section
        self._lock = threading.Lock()
        self._client: Client | None = None

    def clock(self) -> datetime:
        """The primary's: its TTL monitor is the one that deletes."""
        with explained(self._section, "its clock"):
            local_time: datetime = self._database().command("hello")["localTime"]
        return local_time.replace(tzinfo=UTC)

    def scope(self, dataset: Dataset) -> str:
        """See Expiry: database and collection."""
        return self._scope(_mongo(dataset).collection)

    def rule(self, dataset: Dataset) -> ExpiryRule:
        """See Expiry. Raises Missing where there is no such collection."""
        settings = _mongo(dataset)
        require_collection(self._connected(), self._section, settings.collection)
        with self._explained(settings):
            database = self._database()
            (entry,) = [
                entry
                for entry in listed(database, "listCollections")
                if entry["name"] == settings.collection
            ]
            indexes = indexes_of(database[settings.collection])
            commands = _commands(database)
        ours = on_field(indexes, settings.time_field)
        apart = [
            index for index in indexes if not is_on(index, settings.time_field) and deletes(index)
        ]
        others = tuple(described(index) for index in apart if not is_made_here(index))
        left = tuple(index_of(index) for index in apart if is_made_here(index))
        obstacle = _obstacle(entry, settings)
        if not obstacle and commands and "collMod" not in commands:
            obstacle = "the server has no collMod: it can't change when documents expire"
        twins = tuple(index.name for index in ours[1:] if index.limit_s is not None)
        identity = entry.get("info", {}).get("uuid", b"")
        return ExpiryRule(
            self.scope(dataset),
            ours[0] if ours else None,
            twins,
            others,
            obstacle,
            bytes(identity).hex(),
            left,
        )

    def lacking(self, dataset: Dataset) -> list[str] | None:
        """See Expiry."""
        settings = _mongo(dataset)
        with self._explained(settings):
            return lacking(self._database(), settings.collection, _RIGHTS)

    def limits(self) -> dict[str, Index]:
        """See Expiry: by the index's name. Not of collections whose indexes may not be listed."""
        made: dict[str, Index] = {}
        with explained(self._section, "its indexes"):
            database = self._database()
            for entry in listed(database, "listCollections"):
                if entry["type"] != "collection" or str(entry["name"]).startswith("system."):
                    continue
                try:
                    indexes = indexes_of(database[entry["name"]])
                except OperationFailure as error:
                    if error.code != _UNAUTHORIZED:
                        raise
                    continue
                for index in indexes:
                    if is_made_here(index) and deletes(index):
                        made[self._scope(str(entry["name"]))] = index_of(index)
        return made

    def first_ms(self, dataset: Dataset, from_ms: int | None, before_ms: int) -> int | None:
        """See Expiry."""
        settings = _by_date(dataset)
        question = dated_between(settings, from_ms, before_ms)
        path = settings.time_field
        with self._explained(settings):
            document = self._collection(settings).find_one(
                question, projection={"_id": 0, path: 1}, sort=[(path, 1)]
            )
        value: Any = document
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, datetime):
            return int(DatetimeMS(value))
        return int(value) if isinstance(value, DatetimeMS) else None

    def expiring(self, dataset: Dataset, before_ms: int) -> int:
        """See Expiry."""
        settings = _mongo(dataset)
        return self._count(settings, _expiring(settings, before_ms))

    def undated(self, dataset: Dataset, before_ms: int) -> int:
        """Arrays of dates, and dates that no calendar day has."""
        settings = _by_date(dataset)
        of_days = dated_between(settings, Day(date.min).start_ms, before_ms)
        return self._count(
            settings, {"$and": [_expiring(settings, before_ms), {"$nor": [of_days]}]}
        )

    def never(self, dataset: Dataset) -> int:
        """Documents without a date in the time field, and not in an array there either."""
        settings = _mongo(dataset)
        return self._count(settings, {settings.time_field: {"$not": {"$type": "date"}}})

    def born_expired(self, dataset: Dataset, day: Day, limit_s: int) -> int:
        """By the second that an ObjectId was made in; other `_id`s show none."""
        settings = _by_date(dataset)
        second = day.end_ms // 1000 + limit_s
        if not 0 <= second < _MAX_OBJECT_ID_S:
            return 0
        later = ObjectId(second.to_bytes(4, "big") + bytes(8))
        return self._count(settings, {"$and": [of_day(settings, day), {"_id": {"$gte": later}}]})

    def unknown(self, dataset: Dataset, day: Day, store: Store, manifest: Manifest) -> int:
        """See Expiry. Raises BadData and Missing where the object is not its manifest's."""
        from lake.systems.mongo.reading.ruled import RuledDocuments  # noqa: PLC0415
        from lake.systems.mongo.reading.same import digest  # noqa: PLC0415  compiled code

        settings, rules = _mongo(dataset), dataset.under(manifest.rules).rules()
        ruled = RuledDocuments(rules).document if rules else bytes
        stored = Counter(digest(document) for document in _stored(store, manifest))
        unmatched = 0
        with self._explained(settings):
            raw = self._connected().get_database(self._section.database, read_preference=_PRIMARY)
            for document in raw[settings.collection].find(of_day(settings, day)):
                key = digest(ruled(document.raw))
                if stored[key]:
                    stored[key] -= 1
                else:
                    unmatched += 1
        return unmatched

    def set_limit(self, dataset: Dataset, index: Index | None, limit_s: int) -> str:
        """See Expiry."""
        settings = _mongo(dataset)
        database = self._database()
        point("begin", f"ttl/{dataset.name}")
        with self._explained(settings):
            name = index.name if index else _new_name(database, settings)
            try:
                database.command(_command(settings, index, name, limit_s))
                for twin in on_field(
                    indexes_of(database[settings.collection]), settings.time_field
                ):
                    if twin.limit_s is not None and twin.limit_s < limit_s:
                        database.command(_command(settings, twin, twin.name, limit_s))
            except OperationFailure as error:
                raise self._refused(settings, index, error) from error
            indexes = on_field(indexes_of(database[settings.collection]), settings.time_field)
        point("done", f"ttl/{dataset.name}")
        index_now = indexes[0] if indexes else None
        if index_now is None or index_now.limit_s != limit_s or Index(name, limit_s) not in indexes:
            raise BadData(
                "MongoDB confirmed the limit but does not show it",
                where=self._where(settings),
                expected=f"index {name!r} with expireAfterSeconds {limit_s}",
                found=index_now,
                remedy="compare with db.collection.getIndexes()",
            )
        return name

    def hold(self, dataset: Dataset, index: Index) -> None:
        """See Expiry."""
        settings = _mongo(dataset)
        with self._explained(settings):
            try:
                self._database().command(_command(settings, index, index.name, NEVER_S))
            except OperationFailure as error:
                raise self._refused(settings, index, error) from error

    def close(self) -> None:
        """See Expiry."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _scope(self, collection: str) -> str:
        return f"{self._section.database}.{collection}"

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = connect(self._section)
            return self._client

    def _database(self) -> Database[Document]:
        return database_of(self._connected(), self._section.database)

    def _collection(self, settings: MongoDataset) -> Collection[Document]:
        return self._database().get_collection(
            settings.collection, TOLERANT, read_preference=_PRIMARY
        )

    def _count(self, settings: MongoDataset, question: Document) -> int:
        with self._explained(settings):
            return self._collection(settings).count_documents(question)

    @contextmanager
    def _explained(self, settings: MongoDataset) -> Iterator[None]:
        with explained(self._section, f"collection {settings.collection}"):
            yield

    def _where(self, settings: MongoDataset) -> str:
        return f"{self._section.uri}, {self._section.database}.{settings.collection}"

    def _refused(
        self, settings: MongoDataset, index: Index | None, error: OperationFailure
    ) -> Exception:
        """The refusal, where `explained` has no better remedy; else the same error."""
        reason = f"{error.details.get('errmsg') if error.details else error} (code {error.code})"
        if error.code == _UNAUTHORIZED:
            return Refused(
                "MongoDB's user may not change when documents expire",
                where=self._where(settings),
                found=reason,
                remedy="grant it createIndex and collMod on the collection (role `dbAdmin`)",
            )
        if error.timeout or error.has_error_label("RetryableError"):
            return error
        remedy = "create the index by hand, or set [ttl.dataset.NAME] enabled = false"
        if error.code in (_NO_SUCH_COMMAND, _NOT_IMPLEMENTED):
            remedy = (
                "this server has no TTL indexes: nothing expires; set "
                "[ttl.dataset.NAME] enabled = false"
            )
        elif index and index.limit_s is None:
            remedy = (
                "MongoDB before 5.1 gives no limit to an index that has none: drop it, "
                f"db.getCollection({settings.collection!r}).dropIndex({index.name!r}), and run "
                "`lake ttl apply` again, which creates one with a limit"
            )
        return Refused(
            "MongoDB does not set the limit",
            where=self._where(settings),
            found=reason,
            remedy=remedy,
        )


def _new_name(database: Database[Document], settings: MongoDataset) -> str:
    """Another one where an index on what was the time field before has the name."""
    names = {index["name"] for index in indexes_of(database[settings.collection])}
    return f"{INDEX_NAME}_{settings.time_field}" if INDEX_NAME in names else INDEX_NAME


def _commands(database: Database[Document]) -> Document:
    """The server's commands; none where it does not list them."""
    try:
        return dict(database.command("listCommands").get("commands", {}))
    except OperationFailure as error:
        if error.code != _NO_SUCH_COMMAND:
            raise
        return {}


def _command(settings: MongoDataset, index: Index | None, name: str, limit_s: int) -> Document:
    if index:
        return {
            "collMod": settings.collection,
            "index": {"name": name, "expireAfterSeconds": limit_s},
        }
    new = {"key": {settings.time_field: 1}, "name": name, "expireAfterSeconds": limit_s}
    return {"createIndexes": settings.collection, "indexes": [new]}


def _stored(store: Store, manifest: Manifest) -> Iterator[bytes]:
    """The partition's documents, rebuilt."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    from lake.systems.mongo.reading import rebuild  # noqa: PLC0415

    with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
        fetch(store, manifest, file)
        for batch in pq.ParquetFile(file).iter_batches(_ROWS):
            for row in batch.to_pylist():
                yield rebuild(row, batch.schema)


def _expiring(settings: MongoDataset, before_ms: int) -> Document:
    """An array matches where one of its dates does: as the TTL monitor takes it."""
    return {settings.time_field: {"$lt": DatetimeMS(before_ms)}}


def _obstacle(entry: Mapping[str, Any], settings: MongoDataset) -> str:
    name, options = settings.collection, entry.get("options", {})
    if entry["type"] == "view":
        return f"{name!r} is a view: it has no index; guard a dataset of its base collection"
    if entry["type"] == "timeseries":
        limit = options.get("expireAfterSeconds")
        has = f"its own option deletes after {limit / _DAY_S:g} days" if limit else "by no index"
        return f"{name!r} is a time series collection: it expires by an option ({has})"
    if options.get("capped"):
        return f"{name!r} is a capped collection: it expires by size, not by an index"
    if settings.time_field == "_id":
        return "no document expires by `_id`: name a date in time_field"
    return ""


def _mongo(dataset: Dataset) -> MongoDataset:
    if not isinstance(dataset, MongoDataset):
        raise UsageError(f"{dataset.name!r} is not a dataset of MongoDB")
    return dataset


def _by_date(dataset: Dataset) -> MongoDataset:
    """The same by its dates alone: what has none does not expire."""
    return _mongo(dataset).model_copy(update={"time_fallback": None})
