"""The JSON claim about a partition. Written last, removed first.

Belongs here: its fields, and reading and writing one. Does not: what follows from
all of them together (the ledger).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, get_origin, get_type_hints

from lake.base.day import Day
from lake.base.errors import BadData, UsageError
from lake.base.layout import manifest_key, manifest_prefix, partition_of_manifest
from lake.base.store import Store

Raw = bytes  # `Manifest.bytes` hides the name
_PARALLEL_READS = 16


@dataclass(frozen=True)
class Manifest:
    """What a partition holds and how that was proven.

    `window` is half-open, ISO 8601 UTC. `source_count` is what the source said on a path
    of its own, `count_method` how. `schema` is that of `lake.base.table.schema_to_json`.
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


def read_manifest(store: Store, dataset: str, day: Day) -> Manifest | None:
    """The manifest of a partition, None where there is none. Raises BadData."""
    key = manifest_key(dataset, day)
    if store.stat(key) is None:
        return None
    return _checked(store, key, store.read(key))


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Replaces the partition's manifest at once."""
    store.write(manifest_key(manifest.dataset, Day.parse(manifest.day)), manifest.to_bytes())


def read_ledger(
    store: Store, dataset: str, start: Day | None = None, end: Day | None = None
) -> dict[Day, Manifest | BadData]:
    """All manifests of a dataset with start <= day < end, by day.

    A manifest that can't be read stands there as its error.
    """
    keys = {}
    for stat in store.list(manifest_prefix(dataset)):
        partition = partition_of_manifest(stat.key)
        if partition and (not start or partition[1] >= start) and (not end or partition[1] < end):
            keys[partition[1]] = stat.key

    def read(key: str) -> Manifest | BadData:
        try:
            return _checked(store, key, store.read(key))
        except BadData as error:
            return error

    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        return dict(zip(keys, pool.map(read, keys.values()), strict=True))


def _checked(store: Store, key: str, text: Raw) -> Manifest:
    """The manifest, if it is that of its own place."""
    manifest = Manifest.from_bytes(text, store.url(key))
    if manifest_key(manifest.dataset, Day.parse(manifest.day)) != key:
        raise _unreadable(store.url(key), f"that of {manifest.dataset} {manifest.day}")
    return manifest


def _unreadable(where: str, found: object) -> BadData:
    return BadData(
        "a manifest that can't be believed",
        where=where,
        found=found,
        remedy="export the day again with --force",
    )
