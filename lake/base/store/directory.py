"""A directory as a store.

Belongs here: files and their atomic replacement. Does not: other stores.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from lake.base.errors import LakeError, Missing, PermanentError, Refused
from lake.base.store.face import ObjectStat, Upload

_CHUNK = 4 << 20
_PARTS = ".parts"  # files being written, all in one folder: no glob over tables meets them


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
            with _explaining(path):
                found = path.stat()
        except Missing:
            return None
        return ObjectStat(key, found.st_size, f"{found.st_mtime_ns}-{found.st_size}")

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store."""
        folder = self._path(prefix.rpartition("/")[0])
        keys = (
            (Path(where) / name).relative_to(self.root).as_posix()
            for where, _, files in os.walk(folder, onerror=_unlisted)
            for name in files
        )
        for key in sorted(keys):
            wanted = key.startswith(prefix) and not key.startswith(f"{_PARTS}/")
            if wanted and (stat := self.stat(key)):
                yield stat

    def read(self, key: str) -> bytes:
        """See Store."""
        return b"".join(self.chunks(key))

    def chunks(self, key: str) -> Iterator[bytes]:
        """See Store."""
        path = self._path(key)
        with _explaining(path), path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def write(self, key: str, data: bytes) -> None:
        """See Store."""
        with self.upload(key) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, key: str) -> Iterator[Upload]:
        """See Store: written elsewhere under the root, flushed to disk, then renamed."""
        path, parts = self._path(key), self.root / _PARTS
        with _explaining(path):
            parts.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=parts)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                yield _FileUpload(file, path)
                with _explaining(path):
                    os.fsync(descriptor)
            with _explaining(path):
                part.chmod(0o644)
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
                _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """See Store. Folders that this leaves empty go, too."""
        path = self._path(key)
        with _explaining(path):
            path.unlink(missing_ok=True)
        folder = path.parent
        with suppress(OSError):  # not empty: stays
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


class _FileUpload:
    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, data: bytes | memoryview) -> int:
        left = memoryview(data)
        with _explaining(self._path):
            while left:  # a nearly full disk takes a part of it before it refuses
                left = left[self._file.write(left) :]
        return len(data)


def _sync_folder(folder: Path) -> None:
    """Makes the renaming itself outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlisted(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise _explained(error, Path(error.filename)) from error


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def _explained(error: OSError, path: Path) -> LakeError:
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return Missing("no such object", where=path)
    if isinstance(error, NotADirectoryError | FileExistsError):
        return PermanentError(
            "a file stands where a folder has to be", where=path, remedy="correct [lake] root"
        )
    if isinstance(error, PermissionError):
        return Refused("no permission", where=path, found=error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return PermanentError(
            "no space left", where=path, found=error.strerror, remedy="free some space, then repeat"
        )
    return PermanentError("the file system failed", where=path, found=error.strerror)
