"""The JSON manifest of a partition: its object, its rows, and how they were proven.

Belongs here: its fields, and one manifest as bytes. Does not: which manifest of a partition is
valid (ledger), replacing one (replacement).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lake.base.day import Day
from lake.partition.layout import manifest_key
from lake.partition.record import DayRecord, Raw
from lake.store import Store

OPEN_DAY = "open_day"
"""In a manifest's details: true where the day was not over when its export began."""
_HISTORY = 100  # earlier manifests that are kept
_EARLIER = ("created_at", "rows", "source_count", "sha256", "fingerprint", "version")


@dataclass(frozen=True)
class Manifest(DayRecord):
    """What a partition holds and how that was proven.

    `window` is half-open, ISO 8601 UTC. `source_count` is the source's count on a path
    of its own, `count_method` how. `schema` is that of `lake.partition.table.schema_to_json`.
    `fingerprint` is that of `lake.partition.fingerprint` over the rows as they were read, "" in
    manifests older than it. `history` has the claims that this one replaced, newest last:
    `created_at`, `rows`, `source_count`, `sha256`, `fingerprint`, `version`. `rules` are those
    of the columns that the rows went through: `path`, `rule` and what belongs to it.
    """

    title: ClassVar[str] = "manifest"
    remedy: ClassVar[str] = "export the day again with --force"

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
    rules: list[dict[str, Any]] = field(default_factory=list)

    def is_premature(self, today: Day) -> bool:
        """Whether the day was exported before it was over, which it is: no proof of the day."""
        return bool(self.details.get(OPEN_DAY)) and Day.parse(self.day) < today

    def as_history(self) -> list[dict[str, Any]]:
        """The history of the manifest that replaces this one."""
        earlier = {name: getattr(self, name) for name in _EARLIER}
        return [*self.history, earlier][-_HISTORY:]


def write_manifest(store: Store, manifest: Manifest, replaces: str | None = None) -> None:
    """Replaces the partition's manifest at once; `replaces` as for Store.write."""
    key = manifest_key(manifest.dataset, Day.parse(manifest.day))
    store.write(key, manifest.to_bytes(), replaces)


def parse_manifest(store: Store, key: str, text: Raw) -> Manifest:
    """The manifest stored as `key`. Raises BadData where it is invalid or another partition's."""
    manifest = Manifest.from_bytes(text, store.url(key))
    if manifest_key(manifest.dataset, Day.parse(manifest.day)) != key:
        raise Manifest.invalid(store.url(key), f"that of {manifest.dataset} {manifest.day}")
    return manifest
