"""A look at MongoDB: collections, their date fields, indexes, time to live.

Belongs here: which field looks like the event's time. Does not: reading days (reading).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from bson import Binary, ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.base.sizes import counted
from lake.systems.discovered import (
    UNLIMITED_DAYS,
    DiscoveredSource,
    DiscoveredTable,
    Value,
    id_fields,
)
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.limits import limit_of
from lake.systems.mongo.reading.connection import TOLERANT, Client, connect, explained

_SYSTEM = frozenset({"admin", "config", "local"})
_SAMPLED = 50  # of the oldest, and again of the newest documents
_FEW = 200_000  # documents that are quickly searched without an index
_PATIENCE_MS = 10_000
_NO_SUCH_NAMESPACE, _NOT_OF_A_VIEW = 26, 166
_DAY_S = 86_400
_HELD = 2**31 - 1  # expireAfterSeconds of an index that lets nothing expire
_EVENT = re.compile(
    r"(^|[._])(timestamp|ts|time|date|at|when)$|created|occurred|event", re.IGNORECASE
)
_NOT_EVENT = re.compile(
    r"expir|delete|remove|updat|modif|last|next|until|valid|birth", re.IGNORECASE
)

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

Document = dict[str, Any]
_Looked = tuple[DiscoveredTable, int | None, Day | None]
"""The table, for how many days its documents are kept, its oldest day."""


@dataclass(frozen=True)
class DateField:
    """A field that held dates in the sample. `ttl_s` is None without a TTL index."""

    path: str
    share: float
    indexed: bool
    ttl_s: int | None

    @property
    def kept_days(self) -> int | None:
        """For how many days a TTL index on it keeps a document; None where it lets none expire."""
        if not self.ttl_s or self.ttl_s >= _HELD:
            return None
        return max(1, self.ttl_s // _DAY_S)

    @property
    def rank(self) -> tuple[Any, ...]:
        """A field with a greater rank is more likely the event's time."""
        return (
            self.ttl_s != 0,
            not _NOT_EVENT.search(self.path),
            self.share == 1,
            self.ttl_s is not None,
            self.indexed,
            bool(_EVENT.search(self.path)),
            self.share,
            -self.path.count("."),
        )


def look(section: MongoSource, database: str | None, uri: str) -> DiscoveredSource:
    """The collections of the database, by default of the URI's or of the only one.

    `uri` is what may stand in a file. Raises UsageError where the database is not clear,
    and what lake.systems.mongo.reading raises.
    """
    with explained(section), closing(connect(section)) as client:
        version = str(client.server_info()["version"])
        name = database or _database(client, section)
        collections = database_of(client, name)
        entries = listed(collections, "listCollections")
        kinds = {entry["name"]: entry["type"] for entry in entries}
        options = {entry["name"]: entry.get("options", {}) for entry in entries}
        # Time series collections expire without an index.
        expiring = any("expireAfterSeconds" in each for each in options.values()) or any(
            _lets_expire(collections[name]) for name, kind in kinds.items() if kind == "collection"
        )
        looked = {
            each: _collection(collections[each], options[each])
            for each in sorted(kinds)
            if kinds[each] != "view" and not each.startswith("system.")
        }
        for each in sorted(kinds):
            if kinds[each] == "view":
                looked[each] = _view(collections[each], looked.get(options[each].get("viewOn")))
    otherwise = None if expiring else UNLIMITED_DAYS
    basis = "no TTL index: nothing expires"
    if capped := sorted(each for each in options if options[each].get("capped")):
        basis += f", but the oldest of what is capped: {', '.join(capped)}"
    if expiring:
        basis = "a TTL, but not on the documents' time field"
    shortest = min((kept for _, kept, _ in looked.values() if kept), default=None)
    return DiscoveredSource(
        source="mongo",
        section={"uri": uri, "database": name},
        summary=f"MongoDB {version}, {len(looked)} collections",
        hot_days=shortest or otherwise,
        hot_basis="the shortest TTL index" if shortest else basis,
        tables=tuple(looked[each][0] for each in sorted(looked)),
        oldest=min((day for _, _, day in looked.values() if day), default=None),
    )


def _lets_expire(collection: Collection[Document]) -> bool:
    limits = (limit_of(index) for index in indexes_of(collection))
    return any(limit_s is not None and limit_s < _HELD for limit_s in limits)


def _database(client: Client, section: MongoSource) -> str:
    named = client.get_default_database("admin").name
    if named not in _SYSTEM:
        return named
    databases = [name for name in client.list_database_names() if name not in _SYSTEM]
    if len(databases) != 1:
        raise UsageError(
            "the URI names no database" if databases else "the server has no database",
            where=section.uri,
            expected="one of " + ", ".join(sorted(databases)) if databases else None,
            remedy="name it in the URI, mongodb://host:27017/DATABASE",
        )
    return databases[0]


def _view(collection: Collection[Document], base: _Looked | None) -> _Looked:
    """Left out, except where it gives dates to a collection that is left out for want of them."""
    if base and base[0].why_not:
        view = _collection(collection, {})
        if not view[0].why_not:
            return view
    keys: dict[str, Value] = {"source": "mongo", "collection": collection.name}
    why = "a view: its base collection has the same documents, and the index"
    return DiscoveredTable(collection.name, keys, (), why), None, None


def _collection(collection: Collection[Document], options: Mapping[str, Any]) -> _Looked:
    name = collection.name
    documents = collection.estimated_document_count()
    sample = sampled(collection)
    fields = sorted(date_fields(collection, sample), key=lambda field: field.rank, reverse=True)
    keys: dict[str, Value] = {"source": "mongo", "collection": name}
    if not fields:
        return _undated(collection, keys, documents, sample)
    best = fields[0]
    oldest = _oldest(collection, best, documents)
    seen = [_amount(documents, oldest)]
    seen.append(f"{best.path}: a date in {best.share:.0%} of a sample, {_index_text(best)}")
    if options.get("capped"):
        seen.append("capped: new documents overwrite the oldest, whatever [hot] mongo is")
    if best.share < 1:
        seen.append('time_fallback = "_id" would export the others on their ObjectId\'s day')
    if others := [field.path for field in fields[1:]]:
        seen.append("other dates: " + ", ".join(others))
    keys["time_field"] = best.path
    ids = id_fields(path for document in sample for path in _texts(document))
    return DiscoveredTable(name, keys, tuple(seen), id_fields=ids), best.kept_days, oldest


def _amount(documents: int, oldest: Day | None) -> str:
    return counted(documents, "document") + (f", the oldest from {oldest}" if oldest else "")


def _undated(
    collection: Collection[Document],
    keys: dict[str, Value],
    documents: int,
    sample: list[Document],
) -> _Looked:
    name = collection.name
    if not sample:
        return DiscoveredTable(name, keys, (), "it is empty"), None, None
    none = "none of the sample with a date"
    ids = id_fields(path for document in sample for path in _texts(document))
    if all(isinstance(document.get("_id"), ObjectId) for document in sample):
        oldest = _oldest_id(collection)
        seen = (f"{_amount(documents, oldest)}, {none}", "dated by their ObjectIds instead")
        keys["time_fallback"] = "_id"
        return DiscoveredTable(name, keys, seen, id_fields=ids), None, oldest
    why = "neither dates nor ObjectIds show a document's day"
    if path := _date_text(sample):
        keys |= {"collection": f"{name}_by_date", "time_field": f"{path}_date"}
        stage = (
            f'{{$set: {{"{path}_date": {{$dateFromString: '
            f'{{dateString: "${path}", onError: null}}}}}}}}'
        )
        why += (
            f"; {path} is a date as text. A view has it as a date: "
            f'db.createView("{name}_by_date", "{name}", [{stage}])'
        )
    return DiscoveredTable(name, keys, (f"{_amount(documents, None)}, {none}",), why), None, None


def _date_text(sample: list[Document]) -> str | None:
    """The likeliest of the fields that are an ISO 8601 instant as text in all of the sample."""
    held = [{path for path, value in _values(each) if _is_instant(value)} for each in sample]
    paths = sorted(set.intersection(*held))
    return max(
        paths, key=lambda path: DateField(path, 1, indexed=False, ttl_s=None).rank, default=None
    )


def indexes_of(collection: Collection[Document]) -> list[Document]:
    """Those of the collection; none of a view, or where it is gone."""
    try:
        return listed(collection.database, "listIndexes", collection.name)
    except OperationFailure as error:
        if error.code not in (_NO_SUCH_NAMESPACE, _NOT_OF_A_VIEW):
            raise
        return []


def sampled(collection: Collection[Document]) -> list[Document]:
    """Some of the oldest and of the newest documents."""
    newest = collection.find(limit=_SAMPLED, sort=[("_id", -1)])
    return [*collection.find(limit=_SAMPLED), *newest]


def database_of(client: Client, name: str) -> Database[Document]:
    """The database with documents as dicts, whatever they hold."""
    return cast("Database[Document]", client.get_database(name, TOLERANT))


def listed(database: Database[Document], kind: str, name: int | str = 1) -> list[Document]:
    """The reply of listCollections or listIndexes.

    pymongo's own methods decode these strictly, but views and partial indexes hold values of
    their owner's.
    """
    command: dict[str, Any] = {kind: name, "cursor": {}}
    return list(database.cursor_command(command, codec_options=TOLERANT))


def date_fields(collection: Collection[Document], sample: list[Document]) -> Iterator[DateField]:
    """Every field that holds a date in some document of the sample."""
    indexes: dict[str, int | None] = {}
    for index in indexes_of(collection):
        first = next(iter(index["key"]))
        limits = (limit_of(index), indexes.get(first))
        indexes[first] = min((limit for limit in limits if limit is not None), default=None)
    counts: dict[str, int] = {}
    for document in sample:
        for path in _dates(document):
            counts[path] = counts.get(path, 0) + 1
    for path, times in counts.items():
        yield DateField(path, times / len(sample), path in indexes, indexes.get(path))


def _dates(document: Document) -> Iterator[str]:
    return (path for path, value in _values(document) if isinstance(value, datetime | DatetimeMS))


def _texts(document: Document) -> Iterator[str]:
    """Paths of texts and of other values that identify something."""
    identifying = str | ObjectId | UUID | Binary | int
    return (path for path, value in _values(document) if isinstance(value, identifying))


def _values(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values, those of sub-documents included."""
    for name, value in document.items():
        if not name or "." in name or name.startswith("$"):
            continue  # such a name is not a path for a query
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_instant(value: Any) -> bool:
    """Whether it is text with a date and a time; without an offset MongoDB takes it for UTC."""
    if not isinstance(value, str) or not _INSTANT.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _index_text(best: DateField) -> str:
    if best.ttl_s is not None:
        return "TTL index, held" if best.ttl_s >= _HELD else f"TTL {best.ttl_s / _DAY_S:g} days"
    if best.indexed:
        return "indexed"
    return "NOT indexed: every export of a day would scan all documents"


def _oldest(collection: Collection[Document], best: DateField, documents: int) -> Day | None:
    """None where it is unknown or slow to determine."""
    if not best.indexed and documents > _FEW:
        return None
    try:
        document = collection.find_one(
            {best.path: {"$type": "date"}}, sort=[(best.path, 1)], max_time_ms=_PATIENCE_MS
        )
    except ExecutionTimeout:
        return None
    value: Any = document
    for step in best.path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return Day(value.date()) if isinstance(value, datetime) else None


def _oldest_id(collection: Collection[Document]) -> Day | None:
    document = collection.find_one({}, {"_id": 1}, sort=[("_id", 1)])
    identifier = document and document["_id"]
    return Day(identifier.generation_time.date()) if isinstance(identifier, ObjectId) else None
