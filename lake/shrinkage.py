"""Whether a snapshot holds so little that it must not take the place of the one before.

Belongs here: the comparison and the refusal. Does not: what is measured of a system (its
`amounts`), taking snapshots.

A dropped database, an empty volume or a wrong directory make a snapshot that succeeds and holds
nothing. As the newest one it would be what people restore, and within a day it would replace a
good one. A collection that had documents and now has none counts as lost, whatever its size.
The last few snapshots are compared, not only the newest: repeated losses of a little less than
half add up. The comparison ends with a snapshot taken with --allow-shrink.

A second snapshot of a day replaces the first, however large it is. So it must not lack a day that
the first one alone holds whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, Incomplete
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.definition import proves_day
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.snapshots.holding import missing_objects, spans
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store
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


def require_no_lost_day(
    settings: Settings, store: Store, now: SnapshotManifest, *, held: bool
) -> None:
    """Raises Incomplete where the snapshot that `now` would replace holds days whole that neither
    it nor another snapshot holds, and that the lake lacks; `held`: whether it has them or not.

    One whose window reaches as far back has all that the first one had.
    """
    today = Day.parse(now.day)
    days = snapshot_days(store, now.system)
    if today not in days:
        return
    try:
        before = read_snapshot(store, now.system, today)
    except BadData:
        return  # nothing is known of what it holds
    starts = (before.window.get("start"), now.window.get("start"))
    if all(starts) and str(starts[1]) <= str(starts[0]):
        return
    lost = {*before.held_days()} - {*now.held_days()}
    for other in reversed(days):
        if lost and other != today:
            with suppress(BadData):
                snapshot = read_snapshot(store, now.system, other)
                if not missing_objects(store, snapshot):
                    lost -= {*snapshot.held_days()}
    if lost and not held:
        datasets = [dataset for dataset in settings.dataset if dataset.source == now.system]
        lost = {day for day in lost if not datasets or _lacks(store, datasets, day, today)}
    if lost:
        raise Incomplete(
            "the snapshot would replace the only one that holds days whole, and is not kept",
            where=f"{now.system}, {now.day}",
            expected=f"{spans(sorted(lost))} whole, as in the one that was taken earlier today",
            found=f"whole days: {spans(now.held_days())}",
            remedy="take it tomorrow, or export the days first: lake export --from-snapshot; "
            f"where they may be lost: lake snapshot {now.system} --allow-shrink",
        )


def _lacks(store: Store, datasets: Sequence[Dataset], day: Day, today: Day) -> bool:
    """Whether one of the datasets has no partition that proves the day, or not its object."""
    for dataset in datasets:
        manifest = read_ledger(store, dataset.name, day, day.plus(1)).get(day)
        if not isinstance(manifest, Manifest) or not proves_day(dataset, manifest, today):
            return True
        stat = store.stat(manifest.key)
        if stat is None or stat.bytes != manifest.bytes:
            return True
    return False


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
