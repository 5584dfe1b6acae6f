"""Whether a restored dump holds a day of a dataset, also of one that was defined later.

Belongs here: what the dump's definitions and counts prove. Does not: the days of the datasets
that were counted (days), loading.

The whole days of a snapshot are proven for the datasets of its time. A collection of another one
may have lost documents of these days before: to a TTL index, or as `[hot] mongo` records.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.base.errors import Incomplete, Missing
from lake.config.settings import Settings
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.restored import BELOW, not_loaded
from lake.systems.mongo.snapshot.days import (
    COUNTED_AS,
    DOCUMENTS_BY_DAY,
    counted_as,
    removed_otherwise,
    ttl_of,
)
from lake.systems.mongo.snapshot.load import definitions

_UNPROVEN = "; or --allow-shrink, if nothing was lost"


def require_held(
    settings: Settings,
    manifest: SnapshotManifest,
    into: Path,
    dataset: MongoDataset,
    day: Day,
    *,
    unproven: bool,
) -> None:
    """See System."""
    definition = _definition(manifest, into, dataset)
    if was_counted(manifest, dataset):
        return
    if manifest.details.get("scope") == "day":
        raise Incomplete(
            "the snapshot holds the documents of its datasets only",
            where=_where(manifest, dataset, day),
            expected='a snapshot with scope = "full", or a dataset that was defined when it '
            "was taken",
            found=f'scope = "day", with the datasets {", ".join(_counted(manifest)) or "none"}',
            remedy="`lake snapshots` lists others; --snapshot DAY names one",
        )
    if not unproven:
        _require_proof(settings, manifest, definition, dataset, day)


def _counted(manifest: SnapshotManifest) -> dict[str, Any]:
    counted: dict[str, Any] = manifest.details.get(DOCUMENTS_BY_DAY, {})
    return counted


def was_counted(manifest: SnapshotManifest, dataset: MongoDataset) -> bool:
    """Whether the snapshot's whole days are proven for it. Manifests of earlier versions do not
    have the definitions: then the name decides.
    """
    if dataset.name not in _counted(manifest):
        return False
    earlier = manifest.details.get(COUNTED_AS, {}).get(dataset.name)
    return earlier is None or earlier == counted_as(dataset)


def _definition(manifest: SnapshotManifest, into: Path, dataset: MongoDataset) -> dict[str, Any]:
    """The collection's. Raises Missing where the dump has none: a day without documents is not a
    day of a collection that is not there. Raises Incomplete where it could not be loaded.
    """
    database = str(manifest.details["database"])
    named = {
        str(metadata["collectionName"]): metadata
        for of_database, metadata in definitions(into / BELOW)
        if of_database == database
    }
    where = f"snapshot of {manifest.system} of {manifest.day}, database {database}"
    if dataset.collection not in named:
        raise Missing(
            f"no collection {dataset.collection!r} in the snapshot",
            where=where,
            expected=f"one of {', '.join(sorted(named))}" if named else None,
            found=None if named else "no collection",
            remedy=f"correct `collection` of the dataset {dataset.name}; or, if the collection "
            "is younger than the snapshot, --snapshot DAY names a later one",
        )
    if dataset.collection in not_loaded(into):
        raise Incomplete(
            f"the server on this machine can't hold the collection {dataset.collection!r}",
            where=where,
            expected="a MongoDB that takes compressed time-series buckets",
            remedy="put a real mongod on PATH",
        )
    return named[dataset.collection]


def _require_proof(
    settings: Settings,
    manifest: SnapshotManifest,
    definition: dict[str, Any],
    dataset: MongoDataset,
    day: Day,
) -> None:
    where, taken = _where(manifest, dataset, day), datetime.fromisoformat(manifest.created_at)
    what = "the snapshot does not prove that it holds the day whole: the dataset was defined later"
    if manifest.counts.get("documents", {}).get(dataset.collection) == 0:
        raise Incomplete(
            what,
            where=where,
            found=f"no document in the collection {dataset.collection!r}: it may have been emptied",
            remedy="--snapshot DAY names another snapshot" + _UNPROVEN,
        )
    options, indexes = definition.get("options", {}), definition.get("indexes", [])
    ttl_s = ttl_of(dataset.time_field, options, indexes)
    if ttl_s is not None and day.start < taken - timedelta(seconds=ttl_s):
        raise Incomplete(
            what,
            where=where,
            expected=f"a day from {taken - timedelta(seconds=ttl_s):%Y-%m-%dT%H:%MZ} on",
            found=f"a TTL index on {dataset.time_field} of {ttl_s} s",
            remedy="--snapshot DAY names an earlier snapshot" + _UNPROVEN,
        )
    if otherwise := removed_otherwise(dataset.time_field, options, indexes):
        raise Incomplete(
            what,
            where=where,
            expected="a collection whose documents are removed by their time field alone, or never",
            found=otherwise,
            remedy="--snapshot DAY names another snapshot" + _UNPROVEN,
        )
    if day.start < taken - timedelta(days=settings.hot.mongo):
        raise Incomplete(
            what,
            where=where,
            expected=f"a day of the {settings.hot.mongo} days before it ([hot] mongo)",
            found=f"a snapshot taken {manifest.created_at}",
            remedy="raise [hot] mongo if the collection keeps more; --snapshot DAY names an "
            "earlier snapshot" + _UNPROVEN,
        )


def _where(manifest: SnapshotManifest, dataset: MongoDataset, day: Day) -> str:
    return f"{dataset.name} {day}, snapshot of {manifest.system} of {manifest.day}"
