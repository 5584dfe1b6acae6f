"""A directory as a store.

Belongs here: files and their atomic replacement. Does not: other stores.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from secrets import token_hex

from lake.base.errors import (
    Conflict,
    LakeError,
    Missing,
    PermanentError,
    Refused,
    TransientError,
)
from lake.base.faults import point
from lake.store.protocol import ObjectStat, ObjectVersion, Unfinished, Upload

_CHUNK = 1 << 20
_PARTS = ".parts"  # files being written, all in one folder: no glob over tables meets them
_LOCK = ".lock"
_LOCKED_WITHIN_S = 60.0
_SLASH = "!"  # in a part's name, which begins with its object's key


class DirectoryStore:
    """Objects as files below `root`, which is made when the first one is written."""

    objects_a_thread = 64

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
                status = path.stat()
        except Missing:
            return None
        return _object_stat(key, status)

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store."""
        # As text: a lake has thousands of files, and objects of paths take longer than the disk.
        above, root = prefix.rpartition("/")[0], str(self.root)
        folder = str(self._path(above))
        keys = (
            f"{above}{where[len(folder) :]}/{name}".lstrip("/")
            for where, _, files in os.walk(folder, onerror=_unlisted)
            for name in files
        )
        for key in sorted(keys):
            if not key.startswith(prefix) or key.startswith(f"{_PARTS}/"):
                continue
            try:
                status = os.stat(f"{root}/{key}")  # noqa: PTH116
            except FileNotFoundError:  # deleted meanwhile
                continue
            except OSError as error:
                raise _explained(error, self._path(key)) from error
            yield _object_stat(key, status)

    def versions(self, prefix: str, *, noncurrent: bool = True) -> Iterator[ObjectVersion]:
        """See Store. Files have one version and no storage class."""
        folder = self._path(prefix.rpartition("/")[0])
        for where, folders, files in os.walk(folder, onerror=_unlisted):
            if Path(where) == self.root and _PARTS in folders:
                folders.remove(_PARTS)
            for name in files:
                path = Path(where) / name
                key = path.relative_to(self.root).as_posix()
                if not key.startswith(prefix):
                    continue
                try:
                    with _explaining(path):
                        status = path.stat()
                except Missing:  # deleted meanwhile
                    continue
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield ObjectVersion(key, status.st_size, modified, "STANDARD", current=True)

    def read(self, key: str) -> bytes:
        """See Store."""
        return b"".join(self.chunks(key))

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """See Store."""
        path = self._path(key)
        with _explaining(path), path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(_CHUNK):
                yield chunk

    def write(self, key: str, data: bytes, replaces: str | None = None) -> None:
        """See Store."""
        with self.upload(key, replaces) as upload:
            upload.write(data)

    @contextmanager
    def upload(self, key: str, replaces: str | None = None) -> Iterator[Upload]:
        """See Store: written elsewhere under the root, flushed to disk, then renamed.

        The part is locked while its writer lives: so what an ended one left is recognised.
        """
        path, parts = self._path(key), self.root / _PARTS
        point("begin", key)
        with _explaining(path):
            parts.mkdir(parents=True, exist_ok=True)
            with self._alone():
                begin = f"{key.replace('/', _SLASH)[-160:]}."
                part = parts / f"{begin}{token_hex(8)}"
                # As open() makes files: the umask, or the folder's default ACL, decides who may
                # read it.
                descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                upload = _FileUpload(file, path, key)
                yield upload
                with _explaining(path):
                    os.fsync(descriptor)
                    point("complete", key)
                    upload.etag = self._rename(part, key, replaces)
                    point("done", key)
                    _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)

    def _rename(self, part: Path, key: str, replaces: str | None) -> str:
        path = self._path(key)
        with self._alone():
            if replaces is not None:
                there = self.stat(key)
                if replaces != (there.etag if there else ""):
                    raise Conflict("modified by another writer", where=path)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            written = self.stat(key)
        return written.etag if written else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other writer looks at names or changes them in the meantime.

        A lock on a file, not on the folder: network file systems have no other. Its file goes
        with it, so whoever waited for one that has gone takes the next.
        """
        path = self.root / _PARTS / _LOCK
        descriptor = _locked(path)
        while not _is_same(descriptor, path):
            os.close(descriptor)
            descriptor = _locked(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def delete(self, key: str) -> None:
        """See Store. Folders that this leaves empty go, too."""
        path = self._path(key)
        point("delete", key)
        with _explaining(path):
            if not self.root.is_dir():
                return
            (self.root / _PARTS).mkdir(exist_ok=True)
            with self._alone():
                path.unlink(missing_ok=True)
                point("deleted", key)
                folder = path.parent
                with suppress(OSError):  # not empty: stays
                    while folder != self.root:
                        folder.rmdir()
                        folder = folder.parent

    def unfinished(self, prefix: str) -> tuple[Unfinished, ...]:
        """See Store."""
        parts, begins, uploads = self.root / _PARTS, prefix.replace("/", _SLASH), []
        with suppress(Missing), _explaining(parts), self._alone():
            for part in sorted(parts.iterdir()):
                if part.name == _LOCK:
                    continue
                key = part.name.rpartition(".")[0].replace(_SLASH, "/")
                # A part whose name is too long, or not from here, belongs to every prefix.
                if part.name.startswith(begins) or not key or _SLASH not in part.name:
                    with suppress(FileNotFoundError):  # its writer has ended meanwhile
                        begun = datetime.fromtimestamp(part.stat().st_mtime, UTC)
                        uploads.append(Unfinished(key, part.name, begun, _is_locked(part)))
        return tuple(uploads)

    def abandon(self, upload: Unfinished) -> None:
        """See Store."""
        part = self.root / _PARTS / upload.id
        with _explaining(part):
            part.unlink(missing_ok=True)

    def locks(self) -> bool:
        """See Store: no file system has this."""
        return False

    def set_legal_holds(self, prefix: str, wanted: Callable[[str], bool], *, on: bool) -> int:
        """See Store."""
        raise PermanentError("a directory has no Object Lock", where=self._path(prefix))


def _locked(file: Path) -> int:
    """A descriptor that holds its lock. Raises TransientError: a stopped process never frees it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    deadline, pause = time.monotonic() + _LOCKED_WITHIN_S, 0.001
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TransientError(
                    "another process keeps the directory locked",
                    where=file,
                    expected=f"locked for moments, free within {_LOCKED_WITHIN_S:.0f} s",
                    remedy="continue or end that process, which is suspended or hangs: "
                    "`lsof` with this file's path names it",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same(descriptor: int, file: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == file.stat().st_ino
    except FileNotFoundError:
        return False


def _is_locked(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class _FileUpload:
    def __init__(self, file: FileIO, path: Path, key: str) -> None:
        self._file = file
        self._path = path
        self._key = key
        self._begun = False
        self.etag = ""

    def write(self, data: bytes | memoryview) -> int:
        left = memoryview(data)
        with _explaining(self._path):
            while left:  # a nearly full disk takes a part of it before it refuses
                left = left[self._file.write(left) :]
        if not self._begun:
            self._begun = True
            point("part", self._key)
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


def _object_stat(key: str, status: os.stat_result) -> ObjectStat:
    # Clocks of file systems tick slowly: two files within a tick differ in their inode.
    etag = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
    return ObjectStat(key, status.st_size, etag)


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
