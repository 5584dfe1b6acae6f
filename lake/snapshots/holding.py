"""The snapshot that holds a day of data, by the manifests' `whole_days`.

Belongs here: the choice, objects that are gone, how days are written in messages. Does not:
restoring.
"""

from __future__ import annotations

from collections.abc import Sequence

from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.snapshots.manifest import (
    SnapshotManifest,
    StoredObject,
    read_snapshot,
    snapshot_days,
)
from lake.store import Store

_LISTED = 10
_SPANS = 4


def snapshot_holding(store: Store, system: str, day: Day) -> SnapshotManifest:
    """The newest snapshot that holds the day whole. Raises Missing, listing what there is.

    One that can't be read is passed over, and one that has lost objects, unless no other holds the
    day.
    """
    days = snapshot_days(store, system)
    listed: list[str] = []
    incomplete: SnapshotManifest | None = None
    for taken in reversed(days):
        try:
            manifest = read_snapshot(store, system, taken)
        except (BadData, Missing) as error:
            listed.append(f"{taken}: {error.what}")
            continue
        held = manifest.held_days()
        if day in held:
            if not missing_objects(store, manifest):
                return manifest
            incomplete = incomplete or manifest
        listed.append(f"{taken} holds {spans(held)}")
    if incomplete:
        return incomplete
    more = len(listed) - _LISTED
    raise Missing(
        f"no snapshot of {system} holds {day} whole",
        where=store.url(f"{system}/"),
        expected=f"a UTC day that was over when a snapshot was taken, and that {system} still "
        "kept then",
        found="; ".join(listed[:_LISTED]) + (f"; {more} older ones" if more > 0 else "")
        or f"no snapshot at all: `lake snapshot {system}` takes one",
        remedy=f"`lake restore {system} --snapshot DAY` brings one of these back as it is; "
        "`lake replay` brings days back from the tables"
        if listed
        else "`lake replay` brings days back from the tables",
    )


def missing_objects(store: Store, manifest: SnapshotManifest) -> list[StoredObject]:
    """Those that are gone, or of another size, by a listing."""
    prefixes = {"/".join(stored.key.split("/")[:5]) + "/" for stored in manifest.objects}
    there = {stat.key: stat.bytes for prefix in sorted(prefixes) for stat in store.list(prefix)}
    return [stored for stored in manifest.objects if there.get(stored.key) != stored.bytes]


def spans(days: Sequence[Day]) -> str:
    """Days in a row as their first and last, such as 2026-07-01 … 2026-07-05."""
    runs: list[list[Day]] = []
    for day in sorted(days):
        if runs and runs[-1][1].plus(1) == day:
            runs[-1][1] = day
        else:
            runs.append([day, day])
    texts = [str(first) if first == last else f"{first} … {last}" for first, last in runs]
    shown = texts if len(texts) <= _SPANS else [*texts[:1], "…", *texts[-_SPANS + 1 :]]
    return ", ".join(shown) or "no whole day"
