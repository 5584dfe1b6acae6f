"""Whether a snapshot holds so little that it must not take the place of the one before.

Belongs here: what is compared of each system, and the refusal. Does not: taking snapshots.

A dropped database, an empty volume or a wrong directory make a snapshot that succeeds and holds
nothing. As the newest one it would be what people restore, and within a day it would replace a
good one. A collection that had documents and now has none counts as lost, whatever its size.
The last few snapshots are compared, not only the newest: repeated losses of a little less than
half add up. The comparison ends with a snapshot taken with --allow-shrink.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from lake.base.datasets import MongoDataset
from lake.base.errors import Incomplete
from lake.base.settings import Settings
from lake.systems.loki.snapshot.chunks import parsed
from lake.snapshots.manifest import SnapshotManifest

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
    for name, expected, found in _losses(settings, before, now):
        raise Incomplete(
            "the snapshot holds much less than an earlier one, and is not kept",
            where=f"{now.system}, {_place(now)}",
            expected=f"{name}: about {expected:,}, as in the snapshot of {before.day} "
            f"({_place(before)})",
            found=f"{found:,}",
            remedy="check that the source is the right one and has its data; where it has "
            f"become smaller for good: lake snapshot {now.system} --allow-shrink",
        )


def _losses(
    settings: Settings, before: SnapshotManifest, now: SnapshotManifest
) -> Iterator[tuple[str, int, int]]:
    """What is missing: its name, how much the earlier snapshot holds, how much this one holds."""
    own = dict(_measured(settings, now))
    for name, expected in _measured(settings, before):
        found = own.get(name, 0)
        if found < expected * LEAST_SHARE:
            yield name, expected, found
    documents = now.counts.get("documents", {})
    for name, expected in before.counts.get("documents", {}).items():
        if expected and not documents.get(name):
            yield f"documents of {name}", expected, 0


def _comparable(before: SnapshotManifest, now: SnapshotManifest) -> bool:
    """Snapshots of one day's documents are as large as those days are."""
    return before.day == now.day or "day" not in {_scope(before), _scope(now)}


def _scope(manifest: SnapshotManifest) -> Any:
    return manifest.details.get("scope")


def _place(manifest: SnapshotManifest) -> str:
    details = manifest.details
    if manifest.system == "mongo":
        return f"database {details.get('database')}"
    return str(details.get("data_dir") or f"{manifest.server.get('name')}'s data")


def _measured(settings: Settings, one: SnapshotManifest) -> Iterator[tuple[str, int]]:
    """Amounts that do not change by themselves when a server rewrites its files."""
    yield "files", min(1, one.paths)
    if one.system == "mongo":
        documents: dict[str, int] = one.counts.get("documents", {})
        yield "documents", sum(documents.values())
        for name in _collections(settings):
            if name in documents:
                yield f"documents of {name}", documents[name]
    elif one.system == "prometheus":
        yield "samples", int(one.counts.get("samples", 0))
    else:
        chunks = (file.bytes for file in one.files if _is_chunk(file.path))
        yield "bytes of chunks", sum(chunks)


def _collections(settings: Settings) -> list[str]:
    names = (one.collection for one in settings.dataset if isinstance(one, MongoDataset))
    return list(dict.fromkeys(names))


def _is_chunk(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(parsed("/".join(parts[-length:])) is not None for length in (1, 3))
