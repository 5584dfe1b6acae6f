"""Files on their way into the store: each content once, small ones together.

Belongs here: hashing, what need not travel, packs, the journal. Does not: which files.

What an interrupted run has stored is known from its journal, an object beside its files,
and need not travel again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, Self

from lake.base.day import Day
from lake.base.errors import TransientError
from lake.base.store import Store, Upload
from lake.snapshots.manifest import (
    StoredFile,
    StoredObject,
    read_snapshot,
    snapshot_days,
    snapshot_prefix,
)

_CHUNK = 4 << 20
_PARALLEL = 4
_PACK_BYTES = 32 << 20
_SMALL_BYTES = 1 << 20  # smaller files are packed, where that is asked for
_JOURNAL_EVERY_S = 5.0
_EARLIER = 3  # manifests that are looked at for what is stored already
_TRIES = 5
JOURNAL = "journal.json"

Content = tuple[str, int]  # sha256, bytes
Told = Callable[[int, int], None]  # files so far, bytes so far


@dataclass
class Known:
    """What is stored already: contents by sha256 and size, files by path."""

    contents: dict[Content, StoredFile] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    objects: dict[str, StoredObject] = field(default_factory=dict)

    def add(self, files: Iterable[StoredFile], objects: Iterable[StoredObject]) -> None:
        """Takes what a manifest or a journal lists."""
        for file in files:
            self.contents[file.sha256, file.bytes] = file
            self.files[file.path] = file
        self.objects |= {one.key: one for one in objects}


def known_to(store: Store, system: str, day: Day) -> Known:
    """What the newest manifests and the journals of this day's unfinished runs tell.

    Objects that are gone are left out.
    """
    known = Known()
    for earlier in snapshot_days(store, system)[-_EARLIER:]:
        manifest = read_snapshot(store, system, earlier)
        known.add(manifest.files, manifest.objects)
    for stat in store.list(snapshot_prefix(system, day)):
        if stat.key.endswith(f"/{JOURNAL}"):
            told = json.loads(store.read(stat.key))
            known.add(
                (StoredFile(**one) for one in told["files"]),
                (StoredObject(**one) for one in told["objects"]),
            )
    _forget_lost(store, known)
    return known


def _forget_lost(store: Store, known: Known) -> None:
    prefixes = {key.rpartition("/")[0].split("/files/")[0] + "/" for key in known.objects}
    there = {stat.key: stat.bytes for prefix in sorted(prefixes) for stat in store.list(prefix)}
    lost = {key for key, one in known.objects.items() if there.get(key) != one.bytes}
    known.objects = {key: one for key, one in known.objects.items() if key not in lost}
    for kept in (known.contents, known.files):
        for name in [name for name, file in kept.items() if file.key in lost]:
            del kept[name]  # type: ignore[arg-type]


class Collector:
    """The files of one run. A context manager: leaving it waits for what is on its way."""

    def __init__(
        self, store: Store, system: str, day: Day, known: Known, told: Told = lambda _f, _b: None
    ) -> None:
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.run = f"{at}-{secrets.token_hex(3)}"
        self.prefix = f"{snapshot_prefix(system, day)}{self.run}/"
        self.known = known
        self.sent_bytes = 0
        self.notes: dict[str, str] = {}
        self._store = store
        self._told = told
        self._files: dict[str, StoredFile] = {}
        self._objects: dict[str, StoredObject] = {}
        self._lock = Lock()
        self._pack: list[tuple[bytes, str, str]] = []
        self._packs = self._pack_bytes = 0
        self._journalled = time.monotonic()
        self._pool = ThreadPoolExecutor(_PARALLEL, "snapshot")
        self._waiting: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def note(self, name: str, value: str) -> None:
        """Keeps a fact for whoever finds this run unfinished."""
        self.notes[name] = value
        self._write_journal()

    def adopt(self, path: str, stored: StoredFile) -> None:
        """A file that is known to be the stored one."""
        self._keep(StoredFile(path, stored.bytes, stored.sha256, stored.key, stored.offset))

    def file(self, source: Path, path: str, *, pack: bool = False) -> None:
        """A file as it is now, in the background; `pack`: small ones share an object."""
        self._waiting.append(self._pool.submit(self._file, source, path, pack=pack))

    def content(self, content: bytes, path: str) -> None:
        """A file that is not on any disk."""
        digest = hashlib.sha256(content).hexdigest()
        if not self._adopted(path, (digest, len(content))):
            with self.stream(path) as upload:
                upload.write(content)

    def wait(self) -> None:
        """Until all that was given so far is stored. Raises what went wrong."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.result()
        self._send_pack()

    def finish(self) -> tuple[list[StoredFile], list[StoredObject]]:
        """All files, by path, and the objects that they need, by key."""
        self.wait()
        files = [self._files[path] for path in sorted(self._files)]
        needed = sorted({file.key for file in files})
        return files, [self._objects[key] for key in needed]

    @contextmanager
    def stream(self, path: str) -> Iterator[Hashing]:
        """A file whose size is not known yet; it counts when the block ends without an error."""
        key = f"{self.prefix}files/{path}"
        with self._store.upload(key) as upload:
            hashing = Hashing(upload)
            yield hashing
        self._sent(StoredObject(key, hashing.size, hashing.sha256.hexdigest()))
        self._keep(StoredFile(path, hashing.size, hashing.sha256.hexdigest(), key))

    def _file(self, source: Path, path: str, *, pack: bool) -> None:
        for _ in range(_TRIES):
            size = source.stat().st_size
            if pack and size <= _SMALL_BYTES:
                content = source.read_bytes()
                if len(content) >= size:
                    self._packed(content[:size], path)
                    return
            elif self._sent_as_it_is(source, path, size):
                return
        raise TransientError(
            "a file changes faster than it can be copied", where=source, remedy="try again"
        )

    def _sent_as_it_is(self, source: Path, path: str, size: int) -> bool:
        """The first `size` bytes; False where they changed in the meantime."""
        digest = _sha256(source, size)
        if self._adopted(path, (digest, size)):
            return True
        key = f"{self.prefix}files/{path}"
        try:
            with source.open("rb") as file, self._store.upload(key) as upload:
                hashing = Hashing(upload)
                for chunk in _chunks(file, size):
                    hashing.write(chunk)
                if hashing.sha256.hexdigest() != digest:
                    raise _Changed
        except _Changed:
            return False
        self._sent(StoredObject(key, size, digest))
        self._keep(StoredFile(path, size, digest, key))
        return True

    def _packed(self, content: bytes, path: str) -> None:
        digest = hashlib.sha256(content).hexdigest()
        if self._adopted(path, (digest, len(content))):
            return
        with self._lock:
            self._pack.append((content, path, digest))
            self._pack_bytes += len(content)
            full = self._pack_bytes >= _PACK_BYTES
        if full:
            self._send_pack()

    def _send_pack(self) -> None:
        with self._lock:
            pack, self._pack, self._pack_bytes = self._pack, [], 0
            number = self._packs
            self._packs += bool(pack)
        if not pack:
            return
        key, offset, files = f"{self.prefix}packs/{number:06d}", 0, []
        with self._store.upload(key) as upload:
            hashing = Hashing(upload)
            for content, path, digest in pack:
                files.append(StoredFile(path, len(content), digest, key, offset))
                offset += hashing.write(content)
        self._sent(StoredObject(key, offset, hashing.sha256.hexdigest()))
        for file in files:
            self._keep(file)

    def _adopted(self, path: str, content: Content) -> bool:
        stored = self.known.contents.get(content)
        if stored is not None:
            self.adopt(path, stored)
        return stored is not None

    def _sent(self, one: StoredObject) -> None:
        with self._lock:
            self.sent_bytes += one.bytes
            self.known.objects[one.key] = one

    def _keep(self, file: StoredFile) -> None:
        with self._lock:
            self._files[file.path] = file
            self._objects[file.key] = self.known.objects[file.key]
            self.known.contents.setdefault((file.sha256, file.bytes), file)
            due = time.monotonic() - self._journalled > _JOURNAL_EVERY_S
            if due:
                self._journalled = time.monotonic()
            self._told(len(self._files), sum(one.bytes for one in self._files.values()))
        if due:
            self._write_journal()

    def _write_journal(self) -> None:
        with self._lock:
            own = [file for file in self._files.values() if file.key.startswith(self.prefix)]
            told = {
                "notes": self.notes,
                "files": [asdict(file) for file in own],
                "objects": [asdict(self._objects[key]) for key in sorted({f.key for f in own})],
            }
        self._store.write(self.prefix + JOURNAL, json.dumps(told).encode())

    def clear_journal(self) -> None:
        """The manifest tells all from now on."""
        self._store.delete(self.prefix + JOURNAL)


class _Changed(Exception):
    """The file is not what was hashed: nothing of it is kept."""


class Hashing:
    """An upload that counts and hashes what goes through."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Appends; returns the number of bytes taken."""
        self.sha256.update(data)
        self.size += len(data)
        self._upload.write(data)
        return len(data)


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        size -= len(chunk)
        yield chunk


def _sha256(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in _chunks(file, size):
            digest.update(chunk)
    return digest.hexdigest()
