"""The JSON claim about a partition. Written last, removed first.

Belongs here: its fields, and reading and writing one. Does not: what follows from
all of them together (the ledger).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData
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
        """Raises BadData where a field is missing or the text is no JSON object."""
        try:
            fields = json.loads(data)
            known = {k: v for k, v in fields.items() if k in cls.__dataclass_fields__}
            manifest = cls(**known)
            Day.parse(manifest.day)
        except (ValueError, TypeError, AttributeError) as error:
            raise BadData(
                "a manifest that can't be read",
                where=where,
                found=error,
                remedy="export the day again with --force",
            ) from error
        return manifest


def read_manifest(store: Store, dataset: str, day: Day) -> Manifest | None:
    """The manifest of a partition, None where there is none. Raises BadData."""
    key = manifest_key(dataset, day)
    if store.stat(key) is None:
        return None
    return Manifest.from_bytes(store.read(key), store.url(key))


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Replaces the partition's manifest at once."""
    store.write(manifest_key(manifest.dataset, Day.parse(manifest.day)), manifest.to_bytes())


def read_manifests(
    store: Store, dataset: str, start: Day | None = None, end: Day | None = None
) -> dict[Day, Manifest]:
    """All manifests of a dataset with start <= day < end, by day. Raises BadData."""
    keys = {}
    for stat in store.list(manifest_prefix(dataset)):
        partition = partition_of_manifest(stat.key)
        if partition and (not start or partition[1] >= start) and (not end or partition[1] < end):
            keys[partition[1]] = stat.key
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        texts = pool.map(store.read, keys.values())
        return {
            day: Manifest.from_bytes(text, store.url(keys[day]))
            for day, text in zip(keys, texts, strict=True)
        }
