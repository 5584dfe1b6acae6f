"""The JSON claim about a partition. Written last, removed first.

Belongs here: its fields, reading and writing one, and which one holds after a killed run.
Does not: what follows from all of them together (the ledger).

Object and manifest can't be replaced in one step. So a run writes its manifest first under a name
of its own, as a pending one, replaces the object, replaces the manifest, and removes the
pending one. Whoever finds a pending manifest looks which of the two the object bears out: that
one holds, so that a partition is the old or the new one at every moment. In the normal case
there is none, and a listing that is needed anyway says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_origin, get_type_hints

from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.base.layout import (
    manifest_key,
    manifest_prefix,
    partition_of_manifest,
    partition_of_pending,
)
from lake.base.running import is_alive, this_writer
from lake.base.store import Store

Raw = bytes  # `Manifest.bytes` hides the name
_PARALLEL_READS = 16
_COMMIT = timedelta(minutes=10)  # no run needs so long from its pending manifest to the real one
_HISTORY = 100  # earlier claims that are kept
_EARLIER = ("created_at", "rows", "source_count", "sha256", "fingerprint", "version")


@dataclass(frozen=True)
class Manifest:
    """What a partition holds and how that was proven.

    `window` is half-open, ISO 8601 UTC. `source_count` is what the source said on a path
    of its own, `count_method` how. `schema` is that of `lake.base.table.schema_to_json`.
    `fingerprint` is that of `lake.base.fingerprint` over the rows as they were read, "" in
    manifests older than it. `history` has the claims that this one replaced, newest last:
    `created_at`, `rows`, `source_count`, `sha256`, `fingerprint`, `version`.
    """

    dataset: str
    day: str
    source: str
    key: str
    rows: int
    bytes: int
    sha256: str
    source_count: int
    count_method: str
    window: dict[str, str]
    schema: list[dict[str, Any]]
    created_at: str
    version: str
    definition: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)

    def as_history(self) -> list[dict[str, Any]]:
        """The history of the manifest that replaces this one."""
        earlier = {name: getattr(self, name) for name in _EARLIER}
        return [*self.history, earlier][-_HISTORY:]

    def to_bytes(self) -> Raw:
        """UTF-8 JSON, readable by people."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: Raw, where: str) -> Manifest:
        """Raises BadData where it is no JSON object with these fields and types."""
        try:
            fields = json.loads(data)
            manifest = cls(**{name: fields[name] for name in _KINDS if name in fields})
            Day.parse(manifest.day)
            for name, kind in _KINDS.items():
                if not isinstance(getattr(manifest, name), kind):
                    raise TypeError(f"{name} is not of type {kind.__name__}")
        except (ValueError, TypeError, UsageError) as error:
            raise _unreadable(where, error) from error
        return manifest


_KINDS = {name: get_origin(kind) or kind for name, kind in get_type_hints(Manifest).items()}


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
        return datetime.now(UTC) - datetime.fromisoformat(self.manifest.created_at) > _COMMIT


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
    found = read_standing(store, dataset, day).manifest
    if isinstance(found, BadData):
        raise found
    return found


def write_manifest(store: Store, manifest: Manifest, replaces: str | None = None) -> None:
    """Replaces the partition's manifest at once; `replaces` as for Store.write."""
    key = manifest_key(manifest.dataset, Day.parse(manifest.day))
    store.write(key, manifest.to_bytes(), replaces)


def write_pending(store: Store, key: str, manifest: Manifest) -> None:
    """Says what the object is about to become."""
    claim = {"writer": this_writer(), "manifest": asdict(manifest)}
    store.write(key, (json.dumps(claim, ensure_ascii=False) + "\n").encode())


def settle(store: Store, dataset: str, day: Day) -> Standing:
    """Finishes what a killed run began: its manifest where the object bears it out, else
    removes what it left. A run that still goes on is left alone.

    Raises Conflict where another run has been faster.
    """
    standing = read_standing(store, dataset, day)
    if not standing.pending:
        return standing
    held = standing.manifest
    if isinstance(held, Manifest) and held is not standing.stored:
        write_manifest(store, held, standing.etag)
    for one in standing.pending:
        if one.over or one.manifest is held:  # what it says is said by the manifest now
            store.delete(one.key)
    return read_standing(store, dataset, day)


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

    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        found = zip(keys, pool.map(read, keys), strict=True)
        return {day: manifest for day, manifest in found if manifest is not None}


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
            return _checked(store, key, text)
        claim = json.loads(text)
        manifest = json.dumps(claim["manifest"]).encode()
        return Pending(key, Manifest.from_bytes(manifest, store.url(key)), claim["writer"])
    except BadData as error:
        return Pending(key, None) if _is_pending(key) else error
    except (KeyError, TypeError, ValueError):
        return Pending(key, None)


def _standing(
    store: Store,
    found: Sequence[Pending | Manifest | BadData | None],
    etag: str = "",
) -> Standing:
    stored = next((one for one in found if isinstance(one, Manifest | BadData)), None)
    pending = tuple(one for one in found if isinstance(one, Pending))
    claims = [one.manifest for one in pending if one.manifest]
    manifest = _borne_out(store, stored, claims) if claims else stored
    return Standing(manifest, stored, etag, pending)


def _borne_out(
    store: Store, stored: Manifest | BadData | None, pending: Sequence[Manifest]
) -> Manifest | BadData | None:
    """The claim that the object fits: by its size, and where that leaves several by its bytes."""
    stat = store.stat(pending[0].key)
    claims = [stored, *pending] if isinstance(stored, Manifest) else list(pending)
    fitting = [one for one in claims if stat and one.bytes == stat.bytes]
    if len({one.sha256 for one in fitting}) > 1:
        digest = hashlib.sha256()
        for chunk in store.chunks(pending[0].key):
            digest.update(chunk)
        fitting = [one for one in fitting if one.sha256 == digest.hexdigest()]
    return fitting[0] if fitting else stored


def _checked(store: Store, key: str, text: Raw) -> Manifest:
    """The manifest, if it is that of its own place."""
    manifest = Manifest.from_bytes(text, store.url(key))
    if manifest_key(manifest.dataset, Day.parse(manifest.day)) != key:
        raise _unreadable(store.url(key), f"that of {manifest.dataset} {manifest.day}")
    return manifest


def _unreadable(where: str, found: object) -> BadData:
    return BadData(
        "invalid manifest",
        where=where,
        found=found,
        remedy="export the day again with --force",
    )
