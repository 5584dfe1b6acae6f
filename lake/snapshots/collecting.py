"""Files on their way into the store: each content once, small ones together, large ones in pieces.

Belongs here: what need not be uploaded, pieces, packs, what the journal contains. Does not: which
files (a system), hashing, when the journal is written.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock, Semaphore
from types import TracebackType
from typing import Self

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Incomplete, LakeError, Missing, TransientError
from lake.snapshots.hashing import Hashing, chunks_of, sha256_of, stretch_of
from lake.snapshots.journal import JOURNAL, Journalling, write_journal
from lake.snapshots.known import Content, Known
from lake.snapshots.manifest import StoredFile, StoredObject, snapshot_prefix
from lake.snapshots.server_files import GoneError, reading
from lake.store import Store

_LOG = logging.getLogger(__name__)
_PARALLEL = 4
_PIECE_BYTES = 64 << 20  # what a killed run sends again at most, and what travels side by side
_PACK_BYTES = 32 << 20
_SMALL_BYTES = 1 << 20  # smaller files are packed, where that is enabled
_MEMBERS_AT_ONCE = 2 * _PARALLEL
_LEVEL = 6  # of gzip: mongodump's
_TRIES = 5

UploadProgress = Callable[[int, int], None]  # files so far, bytes so far


@dataclass(frozen=True)
class _Place:
    """Where a content belongs: a file's path and the piece's number in it."""

    path: str
    number: int
    at: int = 0
    holds: str = ""
    again: Callable[[], None] = field(default=lambda: None, compare=False)


class Collector:
    """The files of one run. A context manager: leaving it waits for pending uploads."""

    def __init__(
        self, store: Store, system: str, day: Day, progress: UploadProgress = lambda _f, _b: None
    ) -> None:
        at = utc_now().strftime("%Y%m%dT%H%M%S")
        self.run = f"{at}-{secrets.token_hex(3)}"
        self.prefix = f"{snapshot_prefix(system, day)}{self.run}/"
        self.known = Known()
        self.sent_bytes = 0
        self.vanished: set[str] = set()
        self._may_vanish: set[str] = set()
        self._notes: dict[str, str] = {}
        self._store = store
        self._progress = progress
        self._pieces: dict[tuple[str, int], StoredFile] = {}
        self._in_members: set[str] = set()
        self._bytes = self._paths = 0
        self._lock = Lock()
        self._coming: dict[Content, list[_Place]] = {}
        self._pack: list[tuple[bytes, Content]] = []
        self._pack_bytes = self._numbered = 0
        self._pool = ThreadPoolExecutor(_PARALLEL, "snapshot")
        self._failed = Event()
        self._waiting: list[Future[None]] = []
        self._journal = Journalling(self._write_journal)

    def __enter__(self) -> Self:
        self._write_journal()
        self._journal.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        self._journal.stop()
        if error is not None:
            self._record_end()

    @property
    def store(self) -> Store:
        """Where all goes."""
        return self._store

    def note(self, name: str, value: str) -> None:
        """Keeps a fact for whoever finds this run unfinished."""
        with self._lock:
            self._notes[name] = value
        self._write_journal()

    def adopt(self, path: str, pieces: Sequence[StoredFile]) -> None:
        """A file that is known to be the stored one."""
        for number, piece in enumerate(pieces):
            self._keep(_Place(path, number, piece.at, piece.holds), piece)

    def file(
        self, source: Path, path: str, *, pack: bool = False, may_vanish: bool = False
    ) -> None:
        """A file as it is now, in the background; `pack`: small ones share an object.

        `may_vanish`: one that its server removes meanwhile is left out, and named in `vanished`.
        """
        self.vanished.discard(path)
        if may_vanish:
            self._may_vanish.add(path)
        self._submit(partial(self._unless_gone, path, partial(self._file, source, path, pack=pack)))

    def content(self, content: bytes, path: str) -> None:
        """A file that is not on any disk."""
        self._submit(partial(self._packed, content, _Place(path, 0)))

    def fetched(self, chunks: Callable[[], Iterable[bytes]], size: int, path: str) -> None:
        """A file that is an object elsewhere, in the background; small ones share an object.

        One that is removed meanwhile is left out, and named in `vanished`.
        """
        self.vanished.discard(path)
        self._submit(partial(self._fetched, chunks, size, path))

    @contextmanager
    def members(self, path: str) -> Iterator[Callable[[bytes], None]]:
        """A gzip file of which each call adds a member: those that are stored are not uploaded."""
        self._in_members.add(path)
        room, number = Semaphore(_MEMBERS_AT_ONCE), 0

        def add(raw: bytes) -> None:
            nonlocal number
            room.acquire()
            self._submit(partial(self._member, raw, path, number), room.release)
            number += 1

        yield add
        if not number:
            add(b"")

    def wait(self) -> None:
        """Until all that was given so far is stored. Raises what went wrong."""
        while True:
            with self._lock:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                break
            for upload in waiting:
                upload.result()
        self._send_pack()

    def finish(self) -> tuple[list[StoredFile], list[StoredObject]]:
        """All files' pieces, by path, and the objects that they need, by key."""
        self.wait()
        files: list[StoredFile] = []
        for (path, number), piece in sorted(self._pieces.items()):
            if path in self.vanished:
                continue
            before = files[-1] if number else None
            in_members = before is not None and path in self._in_members
            files.append(replace(piece, at=before.at + before.bytes) if in_members and before
                         else piece)  # fmt: skip
        needed = sorted({file.key for file in files})
        return files, [self.known.objects[key] for key in needed]

    @contextmanager
    def stream(self, path: str) -> Iterator[Hashing]:
        """A file whose size is not known yet; it counts when the block ends without an error."""
        key = f"{self.prefix}files/{path}"
        with self._store.upload(key) as upload:
            hashing = Hashing(upload)
            yield hashing
        self._sent(StoredObject(key, hashing.size, hashing.digest))
        self._keep(_Place(path, 0), StoredFile(path, hashing.size, hashing.digest, key))

    def _submit(self, job: Callable[[], None], then: Callable[[], None] = lambda: None) -> None:
        if self._failed.is_set():  # what comes after it is in vain
            self.wait()

        def done(ended: Future[None]) -> None:
            if not ended.cancelled() and ended.exception():
                self._failed.set()
            then()

        with self._lock:
            running = self._pool.submit(job)
            self._waiting.append(running)
        running.add_done_callback(done)

    def _unless_gone(self, path: str, job: Callable[[], None]) -> None:
        """The job, which reads the file of that path."""
        try:
            job()
        except GoneError as error:
            if path not in self._may_vanish:
                raise Incomplete(
                    "a file was removed while it was copied",
                    where=error.source,
                    remedy="take the snapshot again",
                ) from error
            self.vanished.add(path)

    def _file(self, source: Path, path: str, *, pack: bool) -> None:
        with reading(source):
            size = source.stat().st_size
        with self._lock:  # copied again, it may have fewer pieces
            number = 0
            while before := self._pieces.pop((path, number), None):
                self._bytes, number = self._bytes - before.bytes, number + 1
            self._paths -= number > 0
        if pack and size <= _SMALL_BYTES:
            with reading(source):
                content = stretch_of(source, 0, size)
            self._packed(content, _Place(path, 0))
        elif size <= _PIECE_BYTES:
            self._piece(source, _Place(path, 0), size)
        else:
            for number, at in enumerate(range(0, size, _PIECE_BYTES)):
                part = min(_PIECE_BYTES, size - at)
                piece = partial(self._piece, source, _Place(path, number, at), part)
                self._submit(partial(self._unless_gone, path, piece))

    def _fetched(self, chunks: Callable[[], Iterable[bytes]], size: int, path: str) -> None:
        key = f"{self.prefix}pieces/{self._number():06d}"
        try:
            if size <= _SMALL_BYTES:
                self._packed(b"".join(chunks()), _Place(path, 0))
                return
            with self._store.upload(key) as upload:
                hashing = Hashing(upload)
                for chunk in chunks():
                    hashing.write(chunk)
        except Missing:
            self.vanished.add(path)
            return
        self._sent(StoredObject(key, hashing.size, hashing.digest))
        self._keep(_Place(path, 0), StoredFile(path, hashing.size, hashing.digest, key))

    def _piece(self, source: Path, place: _Place, size: int) -> None:
        """So many bytes of the file, as they are now; what changes meanwhile is read again."""
        again = partial(self._piece, source, place, size)
        place = replace(place, again=partial(self._unless_gone, place.path, again))
        for _ in range(_TRIES):
            with reading(source):
                content = sha256_of(source, place.at, size)
            if self._is_coming(content, place):
                return
            if self._upload_piece(source, place, content):
                return
        raise TransientError(
            "a file changes faster than it can be copied", where=source, remedy="try again"
        )

    def _upload_piece(self, source: Path, place: _Place, content: Content) -> bool:
        key = f"{self.prefix}pieces/{self._number():06d}"
        try:
            with reading(source):
                opened = source.open("rb")
            with opened as file, self._store.upload(key) as upload:
                hashing = Hashing(upload)
                for chunk in chunks_of(file, place.at, content[1]):
                    hashing.write(chunk)
                if hashing.digest != content[0]:
                    raise _Changed
        except (_Changed, GoneError) as error:
            with self._lock:
                others = self._coming.pop(content)[1:]
            for other in others:
                self._submit(other.again)
            if isinstance(error, GoneError):
                raise
            return False
        self._sent(StoredObject(key, content[1], content[0]))
        self._arrived({content: (key, 0)})
        return True

    def _member(self, raw: bytes, path: str, number: int) -> None:
        digest = hashlib.sha256(raw).hexdigest()
        place = _Place(path, number, holds=digest)
        stored = self.known.holding.get(digest)
        if stored:
            self._keep(place, stored)
        else:
            self._packed(gzip.compress(raw, _LEVEL, mtime=0), place)

    def _packed(self, content: bytes, place: _Place) -> None:
        which = hashlib.sha256(content).hexdigest(), len(content)
        if self._is_coming(which, place):
            return
        with self._lock:
            self._pack.append((content, which))
            self._pack_bytes += len(content)
            full = self._pack_bytes >= _PACK_BYTES
        if full:
            self._send_pack()

    def _send_pack(self) -> None:
        with self._lock:
            pack, self._pack, self._pack_bytes = self._pack, [], 0
        if not pack:
            return
        key = f"{self.prefix}packs/{self._number():06d}"
        stored: dict[Content, tuple[str, int]] = {}
        with self._store.upload(key) as upload:
            hashing = Hashing(upload)
            for content, which in pack:
                stored[which] = key, hashing.size
                hashing.write(content)
        self._sent(StoredObject(key, hashing.size, hashing.digest))
        self._arrived(stored)

    def _number(self) -> int:
        with self._lock:
            self._numbered += 1
            return self._numbered

    def _is_coming(self, content: Content, place: _Place) -> bool:
        """Whether it is stored, or another thread uploads it; if not, it is now the caller's."""
        with self._lock:
            stored = self.known.contents.get(content)
            if stored is None:
                self._coming.setdefault(content, []).append(place)
                return len(self._coming[content]) > 1
        self._keep(place, stored)
        return True

    def _arrived(self, contents: dict[Content, tuple[str, int]]) -> None:
        with self._lock:
            kept = []
            for content, (key, offset) in contents.items():
                for place in self._coming.pop(content):
                    piece = StoredFile(place.path, content[1], content[0], key, offset)
                    kept.append((place, replace(piece, at=place.at, holds=place.holds)))
            self.known.add(piece for _, piece in kept)
        for place, piece in kept:
            self._keep(place, piece)

    def _sent(self, stored_object: StoredObject) -> None:
        with self._lock:
            self.sent_bytes += stored_object.bytes
            self.known.objects[stored_object.key] = stored_object

    def _keep(self, place: _Place, piece: StoredFile) -> None:
        own = replace(piece, path=place.path, at=place.at, holds=place.holds)
        with self._lock:
            before = self._pieces.get((place.path, place.number))
            self._pieces[place.path, place.number] = own
            self._bytes += own.bytes - (before.bytes if before else 0)
            self._paths += before is None and place.number == 0
            totals = self._paths, self._bytes
        self._progress(*totals)

    def _record_end(self) -> None:
        """The process may live on, the run does not."""
        try:
            self._write_journal(ended=True)
        except LakeError as error:  # another one is on its way
            _LOG.warning("the journal could not be written: %s", error)

    def _write_journal(self, *, ended: bool = False) -> None:
        with self._lock:
            own = [piece for piece in self._pieces.values() if piece.key.startswith(self.prefix)]
            objects = [self.known.objects[key] for key in sorted({piece.key for piece in own})]
            notes = dict(self._notes)
        write_journal(self._store, self.prefix + JOURNAL, notes, own, objects, ended=ended)

    def clear_journal(self) -> None:
        """The manifest records all from now on."""
        self._store.delete(self.prefix + JOURNAL)


class _Changed(Exception):
    """The file is not what was hashed: nothing of it is kept."""
