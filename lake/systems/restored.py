"""Counts of a restored server against those in its snapshot's manifest.

Belongs here: the comparison and its error. Does not: how a system counts (its `restored`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lake.base.day import Day
from lake.base.errors import Incomplete
from lake.snapshots.manifest import SnapshotManifest


def require_same(
    manifest: SnapshotManifest, name: str, count: Callable[[Day], int]
) -> dict[str, Any]:
    """Exactly as many, or between both counts where writes went on during the snapshot.

    Raises Incomplete.
    """
    expected = manifest.counts[name]
    after = manifest.counts.get(f"{name}_after", expected)
    counted = count(manifest.counted_day())
    if not min(expected, after) <= counted <= max(expected, after):
        raise differs(manifest, f"{name} = {between(expected, after)}", f"{name} = {counted}")
    return {name: counted}


def between(first: int, second: int) -> str:
    """Both counts for people; one number where they are equal."""
    low, high = sorted((first, second))
    return str(low) if low == high else f"{low} … {high}"


def differs(manifest: SnapshotManifest, expected: str, found: str) -> Incomplete:
    """The error."""
    return Incomplete(
        "the restored server differs from the snapshot's manifest",
        where=f"{manifest.system} {manifest.day}",
        expected=expected,
        found=found,
        remedy="`lake snapshots verify` checks the objects for changes",
    )
