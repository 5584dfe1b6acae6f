"""Manifests of snapshots that nobody took, for what is decided by manifests alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lake.base.day import Day
from lake.snapshots.manifest import SnapshotManifest, snapshot_manifest_key
from lake.store import Store


def made_snapshot(
    system: str,
    taken: Day,
    whole: Sequence[Day],
    *,
    version: str = "2.42.0",
    start: str | None = None,
    **more: Any,
) -> SnapshotManifest:
    """Taken at 03:00 of its day; it begins at `start`, by default with its first whole day."""
    begins = start or (min(whole).start.isoformat() if whole else None)
    return SnapshotManifest(
        system=system,
        day=str(taken),
        created_at=(taken.start + timedelta(hours=3)).isoformat(),
        version="1",
        server={"name": system, "version": version},
        window={"start": begins, "end": None},
        counts=more.get("counts", {}),
        objects=[],
        files=[],
        restore="",
        details=more.get("details", {}),
        whole_days=[str(day) for day in whole],
    )


def put(store: Store, *manifests: SnapshotManifest) -> None:
    for manifest in manifests:
        key = snapshot_manifest_key(manifest.system, Day.parse(manifest.day))
        store.write(key, manifest.to_bytes())
