"""Is MongoDB reachable, and can each of its datasets be exported day by day?

Belongs here: collections, time fields, indexes, time to live. Does not: reading days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lake.base.clock import utc_now
from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.systems.check import Check, clock, failed, guarded, kept_check
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.discovery import (
    DateField,
    database_of,
    date_fields,
    indexes_of,
    listed,
    sampled,
)
from lake.systems.mongo.reading.connection import Client, connect, explained, require_collection
from lake.systems.mongo.reading.uri import unknown_options

_PATIENCE_S = 5.0
_UNAUTHORIZED = 13


def check(settings: Settings) -> Iterator[Check]:
    """Raises what lake.systems.mongo.reading raises."""
    section = settings.sources.mongo
    if section is None:
        return
    section = section.model_copy(update={"timeout_s": min(section.timeout_s, _PATIENCE_S)})
    with explained(section), closing(connect(section)) as client:
        version = str(client.server_info()["version"])
        before = utc_now()
        database = database_of(client, section.database)
        greeting: dict[str, Any] = dict(database.command("hello"))
        entries = {entry["name"]: entry for entry in listed(database, "listCollections")}
        yield Check("mongo", "ok", f"MongoDB {version}, may read {section.database!r}")
        if not entries:
            yield Check(
                "mongo",
                "fail",
                f"no database {section.database!r}, or it has no collection",
                "correct `database` of [sources.mongo] or `uri`: a snapshot is refused",
            )
        yield from _options(section)
        yield clock("mongo", greeting["localTime"].replace(tzinfo=UTC), before)
        for dataset in settings.dataset:
            if isinstance(dataset, MongoDataset):
                subject = f"dataset {dataset.name}"
                checks = _dataset(client, database, section, dataset, settings.hot.mongo, entries)
                yield from guarded(subject, _explained(section, dataset, checks))


def _options(section: MongoSource) -> Iterator[Check]:
    if unknown := unknown_options(section.uri):
        yield Check(
            "mongo",
            "warn",
            f"the URI has options that have no effect here: {', '.join(unknown)}",
            "remove them from sources.mongo.uri",
        )


def _explained(
    section: MongoSource, dataset: MongoDataset, checks: Iterator[Check]
) -> Iterator[Check]:
    with explained(section, f"collection {dataset.collection}"):
        yield from checks


def _dataset(
    client: Client,
    database: Database[dict[str, Any]],
    section: MongoSource,
    dataset: MongoDataset,
    hot_days: int,
    entries: Mapping[str, Mapping[str, Any]],
) -> Iterator[Check]:
    subject = f"dataset {dataset.name}"
    require_collection(client, section, dataset.collection)
    collection = database[dataset.collection]
    sample = sampled(collection)
    if not sample:
        yield Check(subject, "warn", "the collection is empty", "check `collection`")
        return
    fields = {field.path: field for field in date_fields(collection, sample)}
    field = fields.get(dataset.time_field)
    fallback = dataset.time_fallback and all(isinstance(d.get("_id"), ObjectId) for d in sample)
    if field is None and not fallback:
        yield Check(
            subject,
            "fail",
            f"none of {len(sample)} sampled documents has a date in {dataset.time_field!r}",
            "correct time_field; dates are in: " + (", ".join(sorted(fields)) or "no field"),
        )
        return
    yield _dated(subject, dataset, field, fallback=bool(fallback))
    entry = entries.get(dataset.collection, {})
    if entry.get("options", {}).get("capped"):
        yield Check(
            subject,
            "warn",
            f"{dataset.collection!r} is capped: new documents overwrite the oldest, at any age",
            "export it daily, and before it is full",
        )
    if field and entry.get("type") == "view":
        yield Check(subject, "ok", f"{dataset.collection!r} is a view: it has no index of its own")
    elif field:
        yield _indexed(subject, dataset, field)
    if field:
        yield from kept_check(subject, "mongo", field.kept_days, hot_days)


def _dated(
    subject: str, dataset: MongoDataset, field: DateField | None, *, fallback: bool
) -> Check:
    share = field.share if field else 0.0
    if fallback and not field:
        summary = f"no date in {dataset.time_field!r}: documents are dated by their ObjectIds"
        return Check(subject, "ok", summary)
    summary = f"{dataset.time_field!r} is a date in {share:.0%} of a sample"
    if share == 1 or fallback:
        return Check(subject, "ok", summary)
    return Check(
        subject,
        "warn",
        summary,
        'the others are of no day: `lake status` counts them, time_fallback = "_id" exports them',
    )


def _indexed(subject: str, dataset: MongoDataset, field: DateField) -> Check:
    if field.indexed:
        return Check(subject, "ok", f"{dataset.time_field!r} is indexed")
    return Check(
        subject,
        "warn",
        f"no index on {dataset.time_field!r}: every export of a day scans all documents",
        f"db.getCollection({dataset.collection!r}).createIndex({{{dataset.time_field!r}: 1}})",
    )


def check_snapshots(settings: Settings) -> Iterator[Check]:
    """Whether the user may read what a snapshot reads: the documents and the indexes of every
    collection, of which the datasets may name a part. Each is tried.
    """
    section, subject = settings.sources.mongo, "snapshots of mongo"
    assert section is not None  # noqa: S101  the caller looked
    section = section.model_copy(update={"timeout_s": min(section.timeout_s, _PATIENCE_S)})
    refused: list[str] = []
    try:
        with explained(section), closing(connect(section)) as client:
            database = database_of(client, section.database)
            names = _dumped(settings, listed(database, "listCollections"))
            refused.extend(name for name in names if not _is_readable(database[name]))
    except LakeError as error:
        summary = failed(subject, error).found
        yield Check(subject, "warn", f"it can't be seen what the user may read: {summary}")
        return
    if refused:
        yield Check(
            subject,
            "warn",
            f"the user may not read {', '.join(refused)}: a snapshot fails",
            f"grant it the role `read` on the database {section.database!r}",
        )
    elif names:
        yield Check(subject, "ok", "the user may read every collection")


def _dumped(settings: Settings, entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The collections with documents of which a snapshot consists."""
    kinds = {str(entry["name"]): entry["type"] for entry in entries}
    if settings.snapshots.mongo.scope == "day":
        datasets = [each for each in settings.dataset if isinstance(each, MongoDataset)]
        kinds = {each.collection: kinds[each.collection] for each in datasets
                 if each.collection in kinds}  # fmt: skip
    return sorted(
        name
        for name, kind in kinds.items()
        if kind != "view" and (name == "system.js" or not name.startswith("system."))
    )


def _is_readable(collection: Collection[dict[str, Any]]) -> bool:
    try:
        collection.find_one(projection={"_id": 1})
        indexes_of(collection)
    except OperationFailure as error:
        if error.code != _UNAUTHORIZED:
            raise
        return False
    return True
