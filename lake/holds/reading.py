"""The holds of a store, and which of them blocks what.

Belongs here: reading, the questions. Does not: adding, releasing.

What can't be read counts as a hold: an invalid object below `holds/` is a hold of everything, and
a store that does not answer is an error for every caller that wants to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.config.settings import Settings
from lake.holds.hold import (
    PREFIX,
    Hold,
    Release,
    id_of,
    key_of,
    parsed,
    parsed_release,
    release_key_of,
    unreadable,
)
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store
from lake.store.several import of_each

_MOMENT = timedelta(microseconds=1)  # a window is half-open


@dataclass(frozen=True)
class Holds:
    """`active` in the order of their ids; `released` with their releases.

    `problems` are releases that can't be read: their holds stay active.
    """

    active: tuple[Hold, ...]
    released: Mapping[str, tuple[Hold, Release]]
    problems: tuple[str, ...] = ()

    def blocking(self, dataset: str, day: Day) -> Hold | None:
        """The first hold that covers that day of the dataset."""
        return next((hold for hold in self.active if hold.covers(dataset, day)), None)

    def blocking_snapshot(self, snapshot: SnapshotManifest) -> Hold | None:
        """The first hold of whose days the snapshot has anything, whole or not."""
        return next((hold for hold in self.active if _needs(hold, snapshot)), None)

    def blocking_system(self, system: str) -> Hold | None:
        """The first hold of that system, for a snapshot whose days are unknown."""
        return next((hold for hold in self.active if hold.concerns_system(system)), None)


def of(store: Store, settings: Settings | None = None) -> Holds:
    """All holds of the store. With settings each also covers the configured datasets that have the
    same rows (Hold.widened): what deletes has to know them. Raises what the store raises: nothing
    may be deleted then.
    """
    objects = [known for stat in store.list(PREFIX) if (known := id_of(stat.key))]
    ids = sorted({hold_id for hold_id, is_release in objects if not is_release})
    releases = {hold_id for hold_id, is_release in objects if is_release}
    holds = of_each(store, lambda hold_id: _read(store, hold_id), ids)
    active, released, problems = [], {}, []
    for hold in holds:
        release = None
        if hold.id in releases:
            try:
                release = _release(store, hold.id)
            except BadData as error:
                problems.append(f"{hold.id}: {error.what}: {error.parts.get('found')}")
        if release:
            released[hold.id] = (hold, release)
        else:
            active.append(hold.widened(settings.dataset) if settings else hold)
    return Holds(tuple(active), released, tuple(problems))


def _read(store: Store, hold_id: str) -> Hold:
    try:
        return parsed(hold_id, store.read(key_of(hold_id)))
    except Missing:
        # Listed and not there: a listing of an older state, or an object that can't be read.
        return unreadable(hold_id, "its object is listed, but not there")


def _release(store: Store, hold_id: str) -> Release | None:
    key = release_key_of(hold_id)
    try:
        return parsed_release(hold_id, store.read(key), store.url(key))
    except Missing:
        return None


def _needs(hold: Hold, snapshot: SnapshotManifest) -> bool:
    if not hold.concerns_system(snapshot.system):
        return False
    if any(hold.overlaps(day, day.plus(1)) for day in snapshot.held_days()):
        return True
    if (span := snapshot.span()) is None:
        return False
    start, end = span
    first = Day(start.date()) if start else None
    last = end - _MOMENT if end else None
    return hold.overlaps(first, Day(last.date()).plus(1) if last else None)
