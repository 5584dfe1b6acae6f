"""S3 legal holds on every version of held objects.

Belongs here: which keys a hold covers, setting and lifting. Does not: whether a use case may
delete (reading): that needs no Object Lock.

Without Object Lock a person with the right to delete versions can still remove them; the lake's
own commands can't. What is written to a held day later is held by the next `protect`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lake.base.errors import BadData, Missing
from lake.config.systems import packages
from lake.holds.hold import Hold
from lake.holds.reading import Holds, of
from lake.partition.layout import (
    MANIFESTS,
    ROLLUPS,
    TABLES,
    partition_of_manifest,
    partition_of_pending,
    partition_of_table,
    rollup_of_manifest,
    rollup_of_object,
)
from lake.snapshots.manifest import (
    read_snapshot,
    snapshot_days,
    snapshot_manifest_key,
    snapshot_prefix,
)
from lake.store import Store

_PARTITIONED = {
    TABLES: (partition_of_table,),
    MANIFESTS: (partition_of_manifest, partition_of_pending, rollup_of_manifest),
    ROLLUPS: (rollup_of_object,),
}


@dataclass(frozen=True)
class Protected:
    """`versions` have the legal hold now, or have it no more. `supported`: see Store.locks."""

    supported: bool
    versions: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"object_lock": self.supported, "versions": self.versions}


def protect(store: Store, hold: Hold) -> Protected:
    """Sets the legal hold on every version of what the hold covers. Idempotent."""
    if not store.locks():
        return Protected(supported=False, versions=0)
    covered = _covered(store, Holds((hold,), {}))
    versions = sum(
        store.set_legal_holds(prefix, wanted, on=True) for prefix, wanted in covered.items()
    )
    return Protected(supported=True, versions=versions)


def unprotect(store: Store, hold: Hold) -> Protected:
    """Lifts a released hold's legal holds from objects that no other active hold covers."""
    if not store.locks():
        return Protected(supported=False, versions=0)
    was = _covered(store, Holds((hold,), {}))
    still = _covered(store, of(store))
    versions = sum(
        store.set_legal_holds(
            prefix,
            _without(wanted, still.get(prefix)),
            on=False,
        )
        for prefix, wanted in was.items()
    )
    return Protected(supported=True, versions=versions)


_Wanted = Callable[[str], bool]


def _without(wanted: _Wanted, kept: _Wanted | None) -> _Wanted:
    return lambda key: wanted(key) and not (kept and kept(key))


def _covered(store: Store, holds: Holds) -> dict[str, Callable[[str], bool]]:
    """By prefix: whether a key below it is covered."""
    covered: dict[str, Callable[[str], bool]] = {}
    if not holds.active:
        return covered
    for prefix in _PARTITIONED:
        covered[prefix] = lambda key, prefix=prefix: _is_held(holds, prefix, key)  # type: ignore[misc]
    for system in packages():
        if holds.blocking_system(system):
            keys, folders = _of_snapshots(store, system, holds)
            covered[f"{system}/"] = lambda key, keys=keys, folders=folders: (  # type: ignore[misc]
                key in keys or key.startswith(folders)
            )
    return covered


def _is_held(holds: Holds, prefix: str, key: str) -> bool:
    for partition_of in _PARTITIONED[prefix]:
        if partition := partition_of(key):
            return holds.blocking(*partition) is not None
    return False


def _of_snapshots(store: Store, system: str, holds: Holds) -> tuple[set[str], tuple[str, ...]]:
    """The objects that held snapshots need, and the folders of those that can't be read."""
    keys: set[str] = set()
    folders: list[str] = []
    for day in snapshot_days(store, system):
        try:
            snapshot = read_snapshot(store, system, day)
        except (BadData, Missing):
            folders.append(snapshot_prefix(system, day))
            continue
        if holds.blocking_snapshot(snapshot):
            keys |= {snapshot_manifest_key(system, day)}
            keys |= {stored.key for stored in snapshot.objects}
    return keys, tuple(folders)
