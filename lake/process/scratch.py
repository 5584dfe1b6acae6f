"""Work files on the local disk.

Belongs here: directories for work files, removing those of killed processes, what a full disk
means. Does not: what is written there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lake.base.errors import PermanentError

_PREFIX = "lake-"
_BESIDE = ".lake-"  # next to a file of the user's
_OWNER = "owner.lock"
_YOUNG_S = 60.0  # a directory so young may not have its owner's lock yet


@contextmanager
def scratch_directory(prefix: str = _PREFIX, parent: Path | None = None) -> Iterator[Path]:
    """An empty directory below `parent` (default: TMPDIR) that is removed at the end.

    The first one of a process also removes what killed processes have left there. Its owner
    holds a lock on a file in it while it lives, so no other process removes it before.
    """
    beside = parent or Path(tempfile.gettempdir())
    remove_abandoned(beside, prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=beside) as name,
        (Path(name) / _OWNER).open("w") as owner,
    ):
        fcntl.flock(owner, fcntl.LOCK_EX)
        work = Path(name) / "work"
        work.mkdir()
        yield work


@contextmanager
def replaced_at_once(file: Path) -> Iterator[Path]:
    """A path to write to, which becomes the file when the block ends without an error.

    Makes the file's directory. What a link names is written, and the link stays; so do the
    permissions of a file that is there. Raises OSError.
    """
    file = Path(os.path.realpath(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    with scratch_directory(_BESIDE, file.parent) as scratch:
        part = scratch / file.name
        yield part
        if file.exists():
            shutil.copymode(file, part)
        part.replace(file)


@cache
def remove_abandoned(parent: Path, prefix: str = _PREFIX) -> None:
    """Removes scratch directories of this user whose owners have ended."""
    try:
        abandoned = [Path(entry.path) for entry in os.scandir(parent) if _is_ours(entry, prefix)]
    except OSError:
        return  # a parent that can't be listed holds nothing that could be removed
    for directory in abandoned:
        try:
            owner = (directory / _OWNER).open("r+")
        except OSError:
            continue  # not made here, or gone meanwhile
        with owner:
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(directory, ignore_errors=True)


def _is_ours(entry: os.DirEntry[str], prefix: str) -> bool:
    if not entry.name.startswith(prefix) or not entry.is_dir(follow_symlinks=False):
        return False
    known = entry.stat(follow_symlinks=False)
    return known.st_uid == os.getuid() and time.time() - known.st_mtime > _YOUNG_S


@contextmanager
def explained_full_disk() -> Iterator[None]:
    """Raises PermanentError where the local disk has no room left for work files."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise PermanentError(
            "no space left for work files",
            where=error.filename or tempfile.gettempdir(),
            found=error.strerror,
            remedy="free some space, or let TMPDIR name a folder that has more",
        ) from error
