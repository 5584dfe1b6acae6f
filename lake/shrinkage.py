"""Whether a snapshot holds so little that it must not take the place of the one before.

Belongs here: the comparison and the refusal. Does not: what is measured of a system (its
`amounts`), taking snapshots.

A dropped database, an empty volume or a wrong directory make a snapshot that succeeds and holds
nothing. As the newest one it would be what people restore, and within a day it would replace a
good one. A collection that had documents and now has none counts as lost, whatever its size.
The last few snapshots are compared, not only the newest: repeated losses of a little less than
half add up. The comparison ends with a snapshot taken with --allow-shrink.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lake.base.errors import Incomplete
from lake.config.settings import Settings
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.registry import system

LEAST_SHARE = 0.5
SHRINK_ALLOWED = "shrink_allowed"  # in `details`


def require_no_shrinkage(
    settings: Settings, recent: Sequence[SnapshotManifest], now: SnapshotManifest
) -> None:
    """Raises Incomplete where `now` holds less than half of what one of `recent` holds.

    `recent` is newest first; those before one whose shrinkage was allowed don't count.
    """
    for before in recent:
        if _comparable(before, now):
            _require_no_less(settings, before, now)
        if before.details.get(SHRINK_ALLOWED):
            return


def _require_no_less(settings: Settings, before: SnapshotManifest, now: SnapshotManifest) -> None:
    for name, expected, kept in _losses(settings, before, now):
        raise Incomplete(
            "the snapshot holds much less than an earlier one, and is not kept",
            where=f"{now.system}, {_origin(now)}",
            expected=f"{name}: about {expected:,}, as in the snapshot of {before.day} "
            f"({_origin(before)})",
            found=f"{kept:,}",
            remedy="check that the source is the right one and has its data; where it has "
            f"become smaller for good: lake snapshot {now.system} --allow-shrink",
        )


def _losses(
    settings: Settings, before: SnapshotManifest, now: SnapshotManifest
) -> Iterator[tuple[str, int, int]]:
    """What is missing: its name, how much the earlier snapshot holds, how much this one holds."""
    own = dict(_measured(settings, now))
    for name, expected in _measured(settings, before):
        kept = own.get(name, 0)
        if kept < expected * LEAST_SHARE:
            yield name, expected, kept
    documents = now.counts.get("documents", {})
    for name, expected in before.counts.get("documents", {}).items():
        if expected and not documents.get(name):
            yield f"documents of {name}", expected, 0


def _comparable(before: SnapshotManifest, now: SnapshotManifest) -> bool:
    """Snapshots of one day's documents are as large as those days are."""
    return before.day == now.day or "day" not in {_scope(before), _scope(now)}


def _scope(manifest: SnapshotManifest) -> Any:
    return manifest.details.get("scope")


def _measured(settings: Settings, manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
    """Amounts that do not change by themselves when a server rewrites its files."""
    yield "files", min(1, manifest.paths)
    yield from system(manifest.system).amounts(settings, manifest)


def _origin(manifest: SnapshotManifest) -> str:
    return system(manifest.system).origin(manifest)
