"""Which manifest of a partition is valid, after a killed run as well (ADR 0011).

Belongs here: reading the manifests of a partition and of a dataset. Does not: replacing or
completing them (replacement), what follows from all of them together (status).

A partition has one manifest, and pending ones while runs replace it or after they were killed.
Among several the one that matches the partition's object is valid. The listing that is needed
anyway shows whether there are pending ones; normally there are none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.partition.layout import (
    manifest_key,
    manifest_prefix,
    partition_of_manifest,
    partition_of_pending,
)
from lake.partition.manifest import Manifest, parse_manifest
from lake.process.running import is_alive
from lake.store import Store
from lake.store.several import of_each

_COMMIT = timedelta(minutes=10)  # no run needs so long from its pending manifest to the real one


@dataclass(frozen=True)
class Pending:
    """A manifest whose run has not ended, or was killed. `manifest` is None if unreadable."""

    key: str
    manifest: Manifest | None
    writer: str = ""

    @property
    def over(self) -> bool:
        """Whether its run has ended: that of another machine is taken to have after a while."""
        if self.manifest is None:
            return True
        if (alive := is_alive(self.writer)) is not None:
            return not alive
        return utc_now() - datetime.fromisoformat(self.manifest.created_at) > _COMMIT


@dataclass(frozen=True)
class Standing:
    """What is stored about one partition.

    `stored` is the manifest in its place and `etag` its object's; `manifest` is the one that
    holds: another one only where a run was killed between object and manifest.
    """

    manifest: Manifest | BadData | None = None
    stored: Manifest | BadData | None = None
    etag: str = ""
    pending: tuple[Pending, ...] = ()


def read_standing(store: Store, dataset: str, day: Day) -> Standing:
    """Everything about one partition's manifest."""
    keys, etag = [], ""
    for stat in store.list(f"{manifest_prefix(dataset)}{day}."):
        if (dataset, day) in (partition_of_manifest(stat.key), partition_of_pending(stat.key)):
            keys.append(stat.key)
            etag = stat.etag if stat.key == manifest_key(dataset, day) else etag
    return _standing(store, [_read(store, key) for key in keys], etag)


def read_manifest(store: Store, dataset: str, day: Day) -> Manifest | None:
    """The manifest of a partition, None where there is none. Raises BadData."""
    manifest = read_standing(store, dataset, day).manifest
    if isinstance(manifest, BadData):
        raise manifest
    return manifest


def read_manifest_in_place(store: Store, dataset: str, day: Day) -> Manifest | None:
    """As `read_manifest`, in one request; None for one that can't be read. While a run replaces
    the partition, or after it was killed, another one may be valid.
    """
    manifest = _read(store, manifest_key(dataset, day))
    return manifest if isinstance(manifest, Manifest) else None


def read_ledger(
    store: Store,
    dataset: str,
    start: Day | None = None,
    end: Day | None = None,
    *,
    settled: bool = False,
) -> dict[Day, Manifest | BadData]:
    """All manifests of a dataset with start <= day < end, by day.

    A manifest that can't be read stands there as its error. `settled`: without the days of which
    there is a pending one.
    """
    keys: dict[Day, list[str]] = {}
    for stat in store.list(manifest_prefix(dataset)):
        partition = partition_of_manifest(stat.key) or partition_of_pending(stat.key)
        if partition and (not start or partition[1] >= start) and (not end or partition[1] < end):
            keys.setdefault(partition[1], []).append(stat.key)
    if settled:
        keys = {day: of_day for day, of_day in keys.items() if not any(map(_is_pending, of_day))}

    def read(day: Day) -> Manifest | BadData | None:
        return _standing(store, [_read(store, key) for key in keys[day]]).manifest

    manifests = zip(keys, of_each(store, read, keys), strict=True)
    return {day: manifest for day, manifest in manifests if manifest is not None}


def listed_days(store: Store, dataset: str) -> set[Day]:
    """The days that have a manifest, by one listing: whether it holds is not looked at."""
    partitions = (partition_of_manifest(stat.key) for stat in store.list(manifest_prefix(dataset)))
    return {partition[1] for partition in partitions if partition}


def _is_pending(key: str) -> bool:
    return partition_of_pending(key) is not None


def _read(store: Store, key: str) -> Pending | Manifest | BadData | None:
    """What one key holds, None where it has gone meanwhile."""
    try:
        text = store.read(key)
    except Missing:
        return None
    try:
        if not _is_pending(key):
            return parse_manifest(store, key, text)
        claim = json.loads(text)
        manifest = json.dumps(claim["manifest"]).encode()
        return Pending(key, Manifest.from_bytes(manifest, store.url(key)), claim["writer"])
    except BadData as error:
        return Pending(key, None) if _is_pending(key) else error
    except (KeyError, TypeError, ValueError):
        return Pending(key, None)


def _standing(
    store: Store,
    objects: Sequence[Pending | Manifest | BadData | None],
    etag: str = "",
) -> Standing:
    stored = next((entry for entry in objects if isinstance(entry, Manifest | BadData)), None)
    pending = tuple(entry for entry in objects if isinstance(entry, Pending))
    claims = [claim.manifest for claim in pending if claim.manifest]
    manifest = _borne_out(store, stored, claims) if claims else stored
    return Standing(manifest, stored, etag, pending)


def _borne_out(
    store: Store, stored: Manifest | BadData | None, pending: Sequence[Manifest]
) -> Manifest | BadData | None:
    """The claim that the object fits: by its size, and where that leaves several by its bytes."""
    stat = store.stat(pending[0].key)
    claims = [stored, *pending] if isinstance(stored, Manifest) else list(pending)
    fitting = [claim for claim in claims if stat and claim.bytes == stat.bytes]
    if len({manifest.sha256 for manifest in fitting}) > 1:
        digest = hashlib.sha256()
        for chunk in store.chunks(pending[0].key):
            digest.update(chunk)
        fitting = [manifest for manifest in fitting if manifest.sha256 == digest.hexdigest()]
    return fitting[0] if fitting else stored
