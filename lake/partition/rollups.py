"""The JSON manifest of a rollup: what it was made from, and what its columns add up to.

Belongs here: its fields, reading one and all of a dataset. Does not: making a rollup
(lake.rollup), which columns it has (a system's `rollup`, a file of sql/rollups).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.partition.layout import rollup_manifest_key, rollup_manifest_prefix, rollup_of_manifest
from lake.partition.manifest import Manifest
from lake.partition.record import DayRecord, Raw
from lake.store import Store
from lake.store.several import of_each


@dataclass(frozen=True)
class RollupManifest(DayRecord):
    """One day's rollup.

    `partition_sha256` is the SHA-256 of the table's object that it was made from: of another
    object it is stale. `sums` has the sum over the rows of each column that `definition` lists as
    `sums`. `definition` also has `kind` (a system's name, or `sql`), `version` of its rules,
    `grain`, `keys`, `measures` and, of SQL, `sql_sha256`.
    """

    title: ClassVar[str] = "manifest of a rollup"
    remedy: ClassVar[str] = "`lake rollup` with --force makes the rollup again"

    source: str
    key: str
    rows: int
    bytes: int
    sha256: str
    partition_sha256: str
    partition_rows: int
    sums: dict[str, Any]
    schema: list[dict[str, Any]]
    created_at: str
    version: str
    definition: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def is_of(self, manifest: Manifest) -> bool:
        """Whether it was made from the object that the partition's manifest describes."""
        return self.partition_sha256 == manifest.sha256


AnyManifest = Manifest | RollupManifest


def read_rollup(store: Store, dataset: str, day: Day) -> RollupManifest | BadData | None:
    """The manifest of one day's rollup, None where there is none."""
    key = rollup_manifest_key(dataset, day)
    try:
        return parse_rollup(key, store.read(key), store.url(key))
    except Missing:
        return None
    except BadData as error:
        return error


def parse_rollup(key: str, text: Raw, where: str) -> RollupManifest:
    """The manifest stored as `key`. Raises BadData where it is invalid or another rollup's."""
    manifest = RollupManifest.from_bytes(text, where)
    if rollup_manifest_key(manifest.dataset, Day.parse(manifest.day)) != key:
        raise RollupManifest.invalid(where, f"that of {manifest.dataset} {manifest.day}")
    return manifest


def read_rollups(
    store: Store, dataset: str, days: Collection[Day] | None = None
) -> Mapping[Day, RollupManifest | BadData]:
    """The manifests of a dataset's rollups by day, of `days` or of all."""
    keys = (rollup_of_manifest(stat.key) for stat in store.list(rollup_manifest_prefix(dataset)))
    chosen = [key[1] for key in keys if key and (days is None or key[1] in days)]
    read = of_each(store, lambda day: read_rollup(store, dataset, day), chosen)
    return {day: manifest for day, manifest in zip(chosen, read, strict=True) if manifest}
