"""Bytes of files as they are read and as they go into the store, with their SHA-256.

Belongs here: stretches of a file, an upload that hashes. Does not: what is stored (collecting).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lake.snapshots.known import Content
from lake.store import Upload

_CHUNK = 4 << 20


class Hashing:
    """An upload that counts and hashes what goes through."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = 0
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of what went through so far."""
        return self._sha256.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Appends; returns the number of bytes taken."""
        self._sha256.update(data)
        self.size += len(data)
        self._upload.write(data)
        return len(data)


def chunks_of(file: BinaryIO, at: int, size: int) -> Iterator[bytes]:
    """At most `size` bytes from `at` on, a few MB at a time."""
    file.seek(at)
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        size -= len(chunk)
        yield chunk


def stretch_of(path: Path, at: int, size: int) -> bytes:
    """The same in one piece."""
    with path.open("rb") as file:
        return b"".join(chunks_of(file, at, size))


def sha256_of(path: Path, at: int, size: int) -> Content:
    """Of at most `size` bytes."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in chunks_of(file, at, size):
            digest.update(chunk)
            length += len(chunk)
    return digest.hexdigest(), length
