"""One system's raw snapshot: taken, listed, verified, removed.

Belongs here: the order of the steps. Does not: what a system's files are.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lake import __version__, audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Conflict, LakeError, PermanentError, TransientError
from lake.base.progress import ByteProgress, silent_bytes
from lake.config.settings import Settings
from lake.holds import held_error
from lake.holds import of as holds_of
from lake.shrinkage import SHRINK_ALLOWED, require_no_lost_day, require_no_shrinkage
from lake.snapshots.collecting import Collector, UploadProgress
from lake.snapshots.holding import missing_objects
from lake.snapshots.journal import journals
from lake.snapshots.known import known_to
from lake.snapshots.manifest import (
    COUNTED_DAY,
    SnapshotManifest,
    StoredObject,
    read_snapshot,
    snapshot_days,
    snapshot_manifest_key,
    snapshot_prefix,
)
from lake.snapshots.standalone import store_script
from lake.store import ObjectStat, Store, Unfinished
from lake.systems.registry import open_snapshotter

_LOG = logging.getLogger(__name__)
_PARALLEL = 4
REMOVED = "snapshot removed"  # in the audit log
_UNFINISHED_AFTER_S = 86_400  # objects without a manifest may belong to a run until then


@dataclass(frozen=True)
class SnapshotOutcome:
    """A snapshot taken: the bytes that were uploaded, and the wall seconds that it took."""

    manifest: SnapshotManifest
    sent_bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "system": self.manifest.system,
            "day": self.manifest.day,
            "files": self.manifest.paths,
            "bytes": self.manifest.bytes,
            "sent_bytes": self.sent_bytes,
            "counts": self.manifest.counts,
            "window": self.manifest.window,
            "whole_days": [str(day) for day in self.manifest.held_days()],
            "details": self.manifest.details,
            "seconds": round(self.seconds, 3),
        }


def take_snapshot(
    settings: Settings,
    store: Store,
    system: str,
    progress: UploadProgress = lambda _f, _b: None,
    *,
    fresh: bool = False,
    allow_shrink: bool = False,
    clock: Callable[[], datetime] = utc_now,
    today: Day | None = None,
) -> SnapshotOutcome:
    """Takes one of now, filed under the UTC day on which it begins, and writes its manifest last.
    `today` is that day where the caller has read the clock already.

    It replaces an earlier one of the same day. The system counts its last closed day, which a
    restored server is compared by. `fresh`: nothing that is stored already is relied on.
    Raises Incomplete where it holds much less than the one before, or would replace the only one
    that holds a day whole, unless `allow_shrink`, and what the system and the store raise.
    """
    begun, today = time.monotonic(), today or Day(clock().date())
    counted = today.plus(-1)
    snapshotter = open_snapshotter(system, settings)
    try:
        with Collector(store, system, today, progress) as collector:
            collector.known = known_to(store, system)  # no removal begins from here on
            if fresh:
                collector.known.forget()
            taken = snapshotter.take(counted, collector)
            files, objects = collector.finish()
            ended = clock()
            manifest = SnapshotManifest(
                system=system,
                day=str(today),
                created_at=ended.isoformat(timespec="milliseconds"),
                version=__version__,
                server=taken.server,
                window=taken.window,
                counts=taken.counts,
                objects=objects,
                files=files,
                restore=f"lake restore {system} --snapshot {today} --into DIR --serve",
                details=taken.details
                | {COUNTED_DAY: str(counted)}
                | ({SHRINK_ALLOWED: True} if allow_shrink else {}),
                whole_days=_texts(taken.whole_days, today, ended),
            )
            held = _replaces_held(store, system, today)
            if not allow_shrink or held:
                require_no_shrinkage(settings, collector.known.recent, manifest)
                require_no_lost_day(settings, store, manifest, held=held)
    finally:
        snapshotter.close()
    _require_objects(store, manifest)
    store_script(store, system)
    store.write(snapshot_manifest_key(system, today), manifest.to_bytes())
    _require_objects(store, manifest)  # a removal that began before could not see it
    collector.clear_journal()
    return SnapshotOutcome(manifest, collector.sent_bytes, time.monotonic() - begun)


def _replaces_held(store: Store, system: str, day: Day) -> bool:
    """Whether a snapshot of the same day is there, and a hold needs it or may need it."""
    if store.stat(snapshot_manifest_key(system, day)) is None:
        return False
    holds = holds_of(store)
    try:
        return holds.blocking_snapshot(read_snapshot(store, system, day)) is not None
    except BadData:
        return holds.blocking_system(system) is not None


def _texts(days: list[Day] | None, today: Day, ended: datetime) -> list[str] | None:
    """Those that were over at both ends of the run: midnight may have passed meanwhile, or the
    clock may have been set back.
    """
    if days is None:
        return None
    return [str(day) for day in days if day < today and day.end <= ended]


def _require_objects(store: Store, manifest: SnapshotManifest) -> None:
    """Somebody may have removed an old snapshot while this one relied on its objects."""
    lost = missing_objects(store, manifest)
    if lost:
        raise TransientError(
            "objects of an earlier snapshot were removed meanwhile",
            where=store.url(lost[0].key),
            found=f"{len(lost)} objects gone or of another size",
            remedy="take the snapshot again",
        )


def list_snapshots(store: Store, systems: tuple[str, ...]) -> Iterator[SnapshotManifest]:
    """All manifests, by system and day. Raises BadData for one that can't be read."""
    for system in systems:
        for day in snapshot_days(store, system):
            yield read_snapshot(store, system, day)


@dataclass(frozen=True)
class Unreadable:
    """A snapshot whose manifest is invalid, and why."""

    system: str
    day: str
    problem: str


def every_snapshot(
    store: Store, systems: tuple[str, ...]
) -> Iterator[SnapshotManifest | Unreadable]:
    """All manifests, by system and day: one that can't be read hides none of the others."""
    for system in systems:
        for day in snapshot_days(store, system):
            try:
                yield read_snapshot(store, system, day)
            except BadData as error:
                yield Unreadable(system, str(day), f"{error.what}: {error.parts.get('found')}")


@dataclass(frozen=True)
class SnapshotFinding:
    """One snapshot's objects read back. `problems` is empty where all holds."""

    system: str
    day: str
    checked: int
    bytes: int
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "system": self.system,
            "day": self.day,
            "ok": not self.problems,
            "checked_objects": self.checked,
            "checked_bytes": self.bytes,
            "problems": list(self.problems),
        }


def verify_snapshot(
    store: Store,
    manifest: SnapshotManifest,
    *,
    sample_percent: float = 100,
    seed: int | None = None,
    progress: ByteProgress = silent_bytes,
) -> SnapshotFinding:
    """Reads objects back against their sha256; with a sample at least one, and all are listed."""
    missing = missing_objects(store, manifest)
    problems = [f"{stored.key}: gone, or not of {stored.bytes} bytes" for stored in missing]
    lost = {stored.key for stored in missing}
    chosen = [stored for stored in manifest.objects if stored.key not in lost]
    if sample_percent < 100 and chosen:
        wanted = max(1, round(len(chosen) * sample_percent / 100))
        chosen = random.Random(seed).sample(chosen, wanted)  # noqa: S311  picks what to look at

    def check(stored_object: StoredObject) -> str:
        digest = hashlib.sha256()
        try:
            for chunk in store.chunks(stored_object.key):
                digest.update(chunk)
                progress(len(chunk))
        except LakeError as error:
            return f"{stored_object.key}: {error}"
        return (
            ""
            if digest.hexdigest() == stored_object.sha256
            else f"{stored_object.key}: another sha256"
        )

    with ThreadPoolExecutor(_PARALLEL) as pool:
        problems += [problem for problem in pool.map(check, chosen) if problem]
    checked = sum(stored.bytes for stored in chosen)
    return SnapshotFinding(manifest.system, manifest.day, len(chosen), checked, tuple(problems))


def remove_snapshot(store: Store, system: str, day: Day) -> int:
    """The manifest first, then the objects that no other snapshot needs; bytes freed.

    A manifest that can't be read is removed, too. Raises Missing where there is no such
    snapshot, PermanentError where a hold needs it, Conflict while one is being taken, BadData
    where another manifest can't be read, for then its needs are unknown.
    """
    own: set[str] = set()
    holds = holds_of(store)
    try:
        snapshot = read_snapshot(store, system, day)
        own = {stored.key for stored in snapshot.objects}
        hold = holds.blocking_snapshot(snapshot)
    except BadData:
        hold = holds.blocking_system(system)
    if hold:
        raise held_error("the snapshot has held days", f"{system} {day}", hold)
    require_quiet(store, system)
    for other in snapshot_days(store, system):
        if other != day:
            read_snapshot(store, system, other)
    audit.append(
        store,
        REMOVED,
        system,
        "removed by hand",
        details={"day": str(day), "objects": len(own)},
    )
    store.delete(snapshot_manifest_key(system, day))
    folder = snapshot_prefix(system, day)
    return _clean(store, system, lambda key: key in own or key.startswith(folder))


def exclusive_objects(
    store: Store, system: str, days: Collection[Day]
) -> dict[Day, list[tuple[ObjectStat, str]]]:
    """The objects, with their SHA-256 where it is known, that no snapshot but those of `days`
    needs. One that several of these need is listed with the newest of them.

    Raises BadData where a manifest can't be read.
    """
    manifests = list(list_snapshots(store, (system,)))
    of_kept = (manifest for manifest in manifests if Day.parse(manifest.day) not in days)
    needed = {stored.key for manifest in of_kept for stored in manifest.objects}
    owners: dict[str, tuple[Day, str]] = {}
    for manifest in manifests:  # oldest first
        if (day := Day.parse(manifest.day)) in days:
            owners |= {stored.key: (day, stored.sha256) for stored in manifest.objects}
    folders = {snapshot_prefix(system, day): day for day in days}
    objects: dict[Day, list[tuple[ObjectStat, str]]] = {}
    for stat in store.list(f"{system}/"):
        if stat.key in needed or _age_s(stat.key) is None:
            continue
        of_folder = folders.get("/".join(stat.key.split("/")[:4]) + "/")
        owner = owners.get(stat.key) or (of_folder and (of_folder, ""))
        if owner:
            objects.setdefault(owner[0], []).append((stat, owner[1]))
    return objects


def clean(store: Store, system: str) -> int:
    """Removes objects that no manifest of the system needs; bytes freed.

    Those of runs that began less than a day ago stay: they may be about to claim them. Raises
    Conflict while a snapshot is being taken, BadData where a manifest can't be read.
    """
    require_quiet(store, system)
    return _clean(store, system, lambda key: (_age_s(key) or 0) > _UNFINISHED_AFTER_S)


def _clean(store: Store, system: str, may_go: Callable[[str], bool]) -> int:
    freed = 0
    for stat in unneeded(store, system):
        if may_go(stat.key):
            store.delete(stat.key)
            freed += stat.bytes
    try:
        for upload in unneeded_uploads(store, system):
            if may_go(upload.key):
                store.abandon(upload)
    except PermanentError as error:  # not every server, nor every role, lists them
        _LOG.warning("unfinished uploads below %s/ stay: %s", system, error.what)
    return freed


def unneeded(store: Store, system: str) -> list[ObjectStat]:
    """What runs have stored that no manifest of the system needs. Some of it may belong to a run
    that goes on. Raises BadData where a manifest can't be read.
    """
    needed = {
        stored.key for manifest in list_snapshots(store, (system,)) for stored in manifest.objects
    }
    return [
        stat
        for stat in store.list(f"{system}/")
        if stat.key not in needed and _age_s(stat.key) is not None
    ]


def unneeded_uploads(store: Store, system: str) -> list[Unfinished]:
    """What runs have sent of a snapshot's objects and not finished, likewise."""
    return [
        upload
        for upload in store.unfinished(f"{system}/")
        if not upload.alive and _age_s(upload.key) is not None
    ]


def require_quiet(store: Store, system: str) -> None:
    """Raises Conflict where a snapshot is being taken: it relies on objects that no manifest names
    yet.
    """
    keys = [stat.key for stat in store.list(f"{system}/")]
    running = [journal for journal in journals(store, keys) if journal.alive]
    if running:
        raise Conflict(
            f"a snapshot of {system} is being taken",
            where=store.url(running[0].key),
            found=f"process {running[0].pid}, last active at {running[0].at}",
            remedy="try again when it is done",
        )


def _age_s(key: str) -> float | None:
    """Seconds since the run began whose folder the object is in, None where it is in none."""
    parts = key.split("/")
    try:
        at = datetime.strptime(parts[4].partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except (ValueError, IndexError):
        return None
    return (utc_now() - at).total_seconds()
