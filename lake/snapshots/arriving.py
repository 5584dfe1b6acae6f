"""Assembles restored files from their pieces, each verified, in any order.

Belongs here: what is there already, files that are not whole yet. Does not: fetching pieces.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock

from lake.base.errors import BadData
from lake.snapshots.manifest import SnapshotManifest, StoredFile

_BUFFER = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """A piece that has to be fetched, and the file that it belongs to."""

    file: RestoredFile
    piece: StoredFile


@dataclass
class RestoredFile:
    """A file at `path`; until all of its pieces are there it is `part`."""

    path: Path
    part: Path
    pieces: list[StoredFile]
    _missing: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> list[Wanted]:
        """The pieces that an earlier attempt has not written, judged by their bytes."""
        if self._size_of(self.path) == self.bytes and not self._lacking(self.path):
            return []
        lacking = self._lacking(self.part)
        self._missing = len(lacking)
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not lacking:
            self._finish()
        return [Wanted(self, piece) for piece in lacking]

    @property
    def bytes(self) -> int:
        """Of the whole file."""
        return sum(piece.bytes for piece in self.pieces)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """The part's descriptor, to be written at any place."""
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def has_come(self, _piece: StoredFile) -> None:
        """One more is there and proven; the last one makes the file whole."""
        with self._lock:
            self._missing -= 1
            whole = not self._missing
        if whole:
            self._finish()

    def _finish(self) -> None:
        os.truncate(self.part, self.bytes)
        self.part.replace(self.path)

    @staticmethod
    def _size_of(path: Path) -> int:
        return path.stat().st_size if path.is_file() else -1

    def _lacking(self, path: Path) -> list[StoredFile]:
        size = self._size_of(path)
        if size < 0:
            return self.pieces
        with path.open("rb") as file:
            return [
                piece
                for piece in self.pieces
                if size < piece.at + piece.bytes or _sha256(file.fileno(), piece) != piece.sha256
            ]


def restored_files(manifest: SnapshotManifest, target: Path, parts: Path) -> list[RestoredFile]:
    """The manifest's files below `target`.

    Raises BadData where a path leads out of it, or pieces leave a gap.
    """
    by_path: dict[str, list[StoredFile]] = {}
    for piece in sorted(manifest.files, key=lambda file: file.at):
        by_path.setdefault(piece.path, []).append(piece)
    files = []
    for number, (path, pieces) in enumerate(sorted(by_path.items())):
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise BadData("a file's path leads out of the directory", where=target, found=path)
        at = 0
        for piece in pieces:
            if piece.at != at:
                raise BadData("pieces of a file that leave a gap", where=path, found=piece)
            at += piece.bytes
        # A name of its own would be too long beside one that is as long as a name may be.
        files.append(RestoredFile(target / pure, parts / f"{number:06d}", pieces))
    return files


def _sha256(descriptor: int, piece: StoredFile) -> str:
    digest, at, end = hashlib.sha256(), piece.at, piece.at + piece.bytes
    while at < end and (chunk := os.pread(descriptor, min(_BUFFER, end - at), at)):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()
