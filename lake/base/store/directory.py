"""A directory as a store.

Belongs here: files and their atomic replacement. Does not: other stores.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lake.base.errors import LakeError, Missing, PermanentError, Refused
from lake.base.store.face import ObjectStat, Upload

_CHUNK = 4 << 20
_PART = ".part-"  # files being written; no glob for *.parquet or *.json meets them


class DirectoryStore:
    """Objects as files below `root`, which is made when the first one is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        return self.root / key

    def url(self, key: str) -> str:
        """The file's absolute path."""
        return str(self._path(key))

    def stat(self, key: str) -> ObjectStat | None:
        """See Store."""
        path = self._path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _explained(error, path) from error
        return ObjectStat(key, found.st_size, f"{found.st_mtime_ns}-{found.st_size}")

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store."""
        folder = self._path(prefix.rpartition("/")[0])
        names = (
            (Path(where) / name).relative_to(self.root).as_posix()
            for where, _, files in os.walk(folder)
            for name in files
            if not name.startswith(_PART)
        )
        for key in sorted(names):
            stat = self.stat(key) if key.startswith(prefix) else None
            if stat:
                yield stat

    def read(self, key: str) -> bytes:
        """See Store."""
        return b"".join(self.chunks(key))

    def chunks(self, key: str) -> Iterator[bytes]:
        """See Store."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except OSError as error:
            raise _explained(error, path) from error

    def write(self, key: str, data: bytes) -> None:
        """See Store."""
        with self.upload(key) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, key: str) -> Iterator[Upload]:
        """See Store: written beside its place, flushed to disk, then renamed."""
        path = self._path(key)
        part: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=_PART, dir=path.parent)
            part = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                yield _FileUpload(file, path)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(0o644)
            part.replace(path)
            part = None
        except OSError as error:
            raise _explained(error, path) from error
        finally:
            if part is not None:
                part.unlink(missing_ok=True)
                self._remove_empty(path.parent)

    def delete(self, key: str) -> None:
        """See Store."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _explained(error, path) from error
        self._remove_empty(path.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty: stays
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


class _FileUpload:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, data: bytes | memoryview) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise _explained(error, self._path) from error


def _explained(error: OSError, path: Path) -> LakeError:
    if isinstance(error, FileNotFoundError):
        return Missing("no such object", where=path)
    if isinstance(error, PermissionError):
        return Refused("no permission", where=path, found=error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return PermanentError(
            "no space left", where=path, found=error.strerror, remedy="free some space, then repeat"
        )
    return PermanentError("the file system failed", where=path, found=error.strerror)
