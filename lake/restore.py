"""A snapshot's files back on a disk, each one proven.

Belongs here: what is refused, resuming, verifying while downloading. Does not: starting
servers on the files (lake.serve), or what the files mean.

A directory being restored holds `restore.json`, which names the snapshot: with it an
interrupted restore goes on, and another snapshot is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from lake.base.errors import BadData, Incomplete, PermanentError, UsageError
from lake.base.scratch import explained_full_disk
from lake.base.store import Store
from lake.snapshot import missing_objects
from lake.snapshots.manifest import SnapshotManifest, StoredFile

MARK = "restore.json"
_PARALLEL = 4
_SPARE = 1.02  # of the disk: directories and blocks that are not full
Told = Callable[[int], None]  # bytes more


@dataclass(frozen=True)
class Restored:
    """What came back: files and bytes in all, and how many bytes had to travel."""

    directory: Path
    files: int
    bytes: int
    fetched_bytes: int


def restore_files(
    store: Store,
    manifest: SnapshotManifest,
    into: Path,
    below: str,
    told: Told = lambda _bytes: None,
) -> Restored:
    """Downloads to `into/below`, checks every byte, goes on where it was interrupted.

    Raises UsageError (the directory is in use), Incomplete (an object is missing or
    altered; named), PermanentError (no room on the disk; before anything is fetched).
    """
    _require_objects(store, manifest)
    target = into / below
    _claim(into, manifest)
    left = [file for file in manifest.files if not _is_there(target, file)]
    _require_room(into, sum(file.bytes for file in left))
    by_object: dict[str, list[StoredFile]] = defaultdict(list)
    for file in left:
        by_object[file.key].append(file)
    stop = Event()
    with explained_full_disk(), ThreadPoolExecutor(_PARALLEL) as pool:
        running = [
            pool.submit(_fetch, store, key, files, target, told, stop)
            for key, files in by_object.items()
        ]
        try:
            for one in running:
                one.result()
        except BaseException:
            stop.set()
            for one in running:
                one.cancel()
            raise
    fetched = sum(file.bytes for file in left)
    return Restored(target, len(manifest.files), manifest.bytes, fetched)


def restored_snapshot(into: Path) -> dict[str, str]:
    """What the directory's mark says: system, day, created_at. Raises UsageError."""
    try:
        told: dict[str, str] = json.loads((into / MARK).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            "nothing was restored there",
            where=into,
            expected=f"a directory with {MARK}",
            found=error,
            remedy="name the directory that `lake restore … --into` was given",
        ) from error
    return told


def _claim(into: Path, manifest: SnapshotManifest) -> None:
    """The directory is this snapshot's from now on."""
    mark = into / MARK
    own = {name: getattr(manifest, name) for name in ("system", "day", "created_at")}
    if mark.exists():
        found = restored_snapshot(into)
        if found != own:
            raise UsageError(
                "another snapshot was restored there",
                where=into,
                expected=f"{own['system']} {own['day']}, taken {own['created_at']}",
                found=f"{found.get('system')} {found.get('day')}, taken {found.get('created_at')}",
                remedy="name another directory, or remove that one",
            )
        return
    if into.exists() and any(into.iterdir()):
        raise UsageError(
            "the directory is not empty",
            where=into,
            expected="a new or empty directory, or one where the same restore was interrupted",
            remedy="name another one",
        )
    try:
        into.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps(own) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError("the directory can't be made", where=into, found=error.strerror) from error


def _require_objects(store: Store, manifest: SnapshotManifest) -> None:
    lost = missing_objects(store, manifest)
    if lost:
        raise Incomplete(
            "the snapshot has lost objects",
            where=store.url(lost[0].key),
            expected=f"an object of {lost[0].bytes} bytes",
            found=f"gone or of another size; {len(lost)} such objects in all",
            remedy="restore another day: `lake snapshots` lists them",
        )


def _require_room(into: Path, needed: int) -> None:
    free = shutil.disk_usage(into).free
    if needed * _SPARE > free:
        raise PermanentError(
            "not enough room for the restored files",
            where=into,
            expected=f"{needed:,} bytes",
            found=f"{free:,} bytes free",
            remedy="free some space, or name a directory on another disk",
        )


def _is_there(target: Path, file: StoredFile) -> bool:
    """Whether an earlier attempt has restored it already: by its bytes."""
    path = _inside(target, file)
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _inside(target: Path, file: StoredFile) -> Path:
    path = target / file.path
    if not path.resolve().is_relative_to(target.resolve()):
        raise BadData("a file's path leads out of the directory", where=target, found=file.path)
    return path


def _fetch(
    store: Store, key: str, files: list[StoredFile], target: Path, told: Told, stop: Event
) -> None:
    """One object's files, in the order in which they lie in it."""
    chunks = _Stream(store, key, stop)
    for file in sorted(files, key=lambda one: one.offset):
        path = _inside(target, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        digest = hashlib.sha256()
        with part.open("wb") as out:
            for piece in chunks.pieces(file.offset, file.bytes):
                digest.update(piece)
                out.write(piece)
                told(len(piece))
        if digest.hexdigest() != file.sha256:
            part.unlink()
            raise Incomplete(
                "an object of the snapshot was altered",
                where=store.url(key),
                expected=f"sha256 {file.sha256} of {file.path}",
                found=digest.hexdigest(),
                remedy="restore another day: `lake snapshots` lists them",
            )
        part.replace(path)


class _Stream:
    """An object read once, from its beginning on; stretches have to be asked in their order."""

    def __init__(self, store: Store, key: str, stop: Event) -> None:
        self._chunks = store.chunks(key)
        self._stop = stop
        self._at = 0
        self._held = memoryview(b"")

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        for _ in self._taken(offset - self._at):
            pass
        yield from self._taken(size)

    def _taken(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            if self._stop.is_set():
                raise PermanentError("stopped: another file could not be restored")
            if not self._held:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return  # cut: the sha256 tells
                self._held = memoryview(chunk)
            piece, self._held = self._held[:size], self._held[size:]
            self._at += len(piece)
            size -= len(piece)
            yield piece
