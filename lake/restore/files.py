"""Downloads a snapshot's files, each verified by its SHA-256.

Belongs here: what is refused, resuming, verifying while downloading. Does not: starting
servers on the files (server), or what the files mean.

A directory being restored holds `restore.json`, which names the snapshot: with it an
interrupted restore goes on, and another snapshot is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from lake.base.errors import Incomplete, PermanentError, UsageError
from lake.base.progress import ByteProgress, silent_bytes
from lake.base.sizes import counted
from lake.process.scratch import explained_full_disk
from lake.restore.directory import unusable
from lake.snapshots.arriving import RestoredFile, Wanted, restored_files
from lake.snapshots.holding import missing_objects
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store

MARK = "restore.json"
PARTS = ".parts"  # files that have not come whole
_PARALLEL = 4
_FAR = 4 << 20  # bytes that are skipped rather than requested again
_SPARE = 1.02  # of the disk: directories and blocks that are not full


@dataclass(frozen=True)
class Restored:
    """What came back: files and bytes in all, and how many bytes were downloaded."""

    directory: Path
    files: int
    bytes: int
    fetched_bytes: int


def restore_files(
    store: Store,
    manifest: SnapshotManifest,
    into: Path,
    below: str,
    progress: ByteProgress = silent_bytes,
    claimed: Callable[[], object] = lambda: None,
) -> Restored:
    """Downloads to `into/below`, checks every byte, goes on where it was interrupted.

    `claimed` is called when `into` is this snapshot's, before anything else is done there.

    Raises UsageError (the directory is in use), Incomplete (an object is missing or
    altered; named), BadData (an invalid manifest), PermanentError (no room on
    the disk; before anything is fetched).
    """
    _require_objects(store, manifest)
    target = into / below
    files = restored_files(manifest, target, into / PARTS)
    _claim(into, manifest)
    claimed()
    stop = Event()
    with explained_full_disk(), ThreadPoolExecutor(_PARALLEL) as pool:
        left = [piece for pieces in pool.map(RestoredFile.begin, files) for piece in pieces]
        fetched = sum(wanted.piece.bytes for wanted in left)
        _require_room(into, fetched)
        running: list[Future[None]] = []
        try:
            # Inside: an interrupt may come as soon as the first one runs.
            for key, pieces in _by_object(left).items():
                running.append(pool.submit(_fetch, store, key, pieces, progress, stop))
            for fetch in running:
                fetch.result()
        except BaseException:
            stop.set()
            for fetch in running:
                fetch.cancel()
            raise
    shutil.rmtree(into / PARTS, ignore_errors=True)
    return Restored(target, len(files), manifest.bytes, fetched)


def _by_object(left: list[Wanted]) -> dict[str, list[Wanted]]:
    """Each object's pieces, in the order in which they lie in it."""
    by_object: dict[str, list[Wanted]] = defaultdict(list)
    for wanted in sorted(left, key=lambda piece: (piece.piece.key, piece.piece.offset)):
        by_object[wanted.piece.key].append(wanted)
    return by_object


def restored_snapshot(into: Path) -> dict[str, str]:
    """The content of the directory's mark: system, day, created_at. Raises UsageError."""
    try:
        mark: dict[str, str] = json.loads((into / MARK).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            "nothing was restored there",
            where=into,
            expected=f"a directory with {MARK}",
            found=error,
            remedy="name the directory that `lake restore … --into` was given",
        ) from error
    return mark


def _claim(into: Path, manifest: SnapshotManifest) -> None:
    """The directory is this snapshot's from now on."""
    mark = into / MARK
    own = {name: getattr(manifest, name) for name in ("system", "day", "created_at")}
    try:
        marked, in_use = mark.exists(), into.exists() and any(into.iterdir())
    except OSError as error:
        raise unusable(into, error) from error
    if marked:
        other = restored_snapshot(into)
        if other != own:
            raise UsageError(
                "another snapshot was restored there",
                where=into,
                expected=f"{own['system']} {own['day']}, taken {own['created_at']}",
                found=f"{other.get('system')} {other.get('day')}, taken {other.get('created_at')}",
                remedy="name another directory, or remove that one",
            )
        return
    if in_use:
        raise UsageError(
            "the directory is not empty",
            where=into,
            expected="a new or empty directory, or one where the same restore was interrupted",
            remedy="name another one",
        )
    try:
        # A snapshot has everything, without column rules: a new directory is for this user alone.
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(json.dumps(own) + "\n", encoding="utf-8")
    except OSError as error:
        raise unusable(into, error) from error


def _require_objects(store: Store, manifest: SnapshotManifest) -> None:
    lost = missing_objects(store, manifest)
    if lost:
        raise Incomplete(
            "the snapshot has lost objects",
            where=store.url(lost[0].key),
            expected=f"an object of {lost[0].bytes} bytes",
            found=f"gone or of another size; {counted(len(lost), 'such object')} in all",
            remedy=_others(manifest.system),
        )


def _others(system: str) -> str:
    return (
        f"`lake restore {system} --snapshot DAY` restores another one: `lake snapshots` lists what "
        f"each holds; `lake snapshot {system} --fresh` takes one that uses no damaged object"
    )


def _require_room(into: Path, needed: int) -> None:
    free = shutil.disk_usage(into).free
    if needed * _SPARE > free:
        raise PermanentError(
            "not enough space for the restored files",
            where=into,
            expected=f"{needed:,} bytes",
            found=f"{free:,} bytes free",
            remedy="free some space, or name a directory on another disk",
        )


def _fetch(
    store: Store, key: str, pieces: list[Wanted], progress: ByteProgress, stop: Event
) -> None:
    """One object's pieces, in the order in which they lie in it."""
    stream = _Stream(store, key, stop)
    for wanted in pieces:
        piece, digest = wanted.piece, hashlib.sha256()
        with wanted.file.opened() as out:
            at = piece.at
            for part in stream.parts(piece.offset, piece.bytes):
                digest.update(part)
                at += os.pwrite(out, part, at)
                progress(len(part))
        if digest.hexdigest() != piece.sha256:
            raise Incomplete(
                "an object of the snapshot was altered",
                where=store.url(key),
                expected=f"sha256 {piece.sha256} of {piece.path}",
                found=digest.hexdigest(),
                remedy=_others(key.partition("/")[0]),
            )
        wanted.file.has_come(piece)


class _Stream:
    """An object's stretches, read in their order; what lies between them is skipped."""

    def __init__(self, store: Store, key: str, stop: Event) -> None:
        self._store = store
        self._key = key
        self._stop = stop
        self._chunks: Iterator[bytes] = iter(())
        self._at = -_FAR
        self._held = memoryview(b"")

    def parts(self, offset: int, size: int) -> Iterator[memoryview]:
        """The bytes from `offset` on; fewer where the object is cut, which the sha256 shows."""
        if size and not 0 <= offset - self._at < _FAR:
            self._chunks = self._store.chunks(self._key, offset)
            self._at, self._held = offset, memoryview(b"")
        for _ in self._taken(offset - self._at if size else 0):
            pass
        yield from self._taken(size)

    def _taken(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            if self._stop.is_set():
                raise PermanentError("stopped: another file could not be restored")
            if not self._held:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._held = memoryview(chunk)
            part, self._held = self._held[:size], self._held[size:]
            self._at += len(part)
            size -= len(part)
            yield part
