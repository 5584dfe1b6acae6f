"""Replaces a rollup's object and manifest.

Belongs here: the order of the steps, and runs that do the same at once. Does not: what the
object holds (making).

Where there is an object, the manifest is removed first; it is written last, conditional on what
was there. So a manifest stands for the object beside it, and one that another run's table has
overtaken names another partition's SHA-256: it is stale.
"""

from __future__ import annotations

from lake import __version__
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Conflict
from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest
from lake.rollup.making import Made
from lake.store import Store

_CHUNK = 1 << 20
_TRIES = 5


def put(store: Store, manifest: Manifest, made: Made) -> RollupManifest | None:
    """Stores the rollup of the partition; None where another run has replaced that meanwhile.

    Raises Conflict where others write the same rollup again and again.
    """
    new = _manifest_of(manifest, made)
    for attempt in range(1, _TRIES + 1):
        try:
            _replace(store, new, made, is_first=attempt == 1)
        except Conflict:
            day = Day.parse(manifest.day)
            now = read_manifest(store, manifest.dataset, day)
            if now is None or now.sha256 != manifest.sha256:
                return None
            if attempt == _TRIES:
                raise
        else:
            return new
    raise AssertionError  # unreachable: the last try returns or raises


def _replace(store: Store, new: RollupManifest, made: Made, *, is_first: bool) -> None:
    """At first a day without an object is taken to have no manifest either; it may, damaged: then
    writing ours is a conflict.
    """
    key = rollup_manifest_key(new.dataset, Day.parse(new.day))
    stat = store.stat(new.key)
    if stat or not is_first:
        _delete(store, key)
    with made.file.open("rb") as file, store.upload(new.key, stat.etag if stat else "") as upload:
        while chunk := file.read(_CHUNK):
            upload.write(chunk)
    store.write(key, new.to_bytes(), "")


def remove(store: Store, dataset: str, day: Day) -> None:
    """Removes the rollup of a day, if there is one: the manifest, then the object."""
    _delete(store, rollup_manifest_key(dataset, day))
    _delete(store, rollup_key(dataset, day))


def _delete(store: Store, key: str) -> None:
    """Of what is not there a versioned bucket would keep that it was deleted."""
    if store.stat(key):
        store.delete(key)


def _manifest_of(manifest: Manifest, made: Made) -> RollupManifest:
    return RollupManifest(
        dataset=manifest.dataset,
        day=manifest.day,
        source=manifest.source,
        key=rollup_key(manifest.dataset, Day.parse(manifest.day)),
        rows=made.rows,
        bytes=made.bytes,
        sha256=made.sha256,
        partition_sha256=manifest.sha256,
        partition_rows=manifest.rows,
        sums=made.sums,
        schema=made.schema,
        created_at=utc_now().isoformat(timespec="milliseconds"),
        version=__version__,
        definition=made.shape.to_json(),
        details={"left_out": made.left_out} if made.left_out else {},
    )
