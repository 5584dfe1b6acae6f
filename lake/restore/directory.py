"""A directory that a process fills or serves, and how another process ends it.

Belongs here: one process at a time, the note of who it is, ending it. Does not: starting servers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lake.base.causes import cause
from lake.base.errors import PermanentError, TransientError, UsageError
from lake.process.running import started

_NOTE = "serving.pid"
_LOCK = "serving.lock"
_ENDS_WITHIN_S = 60.0
_LOOK_S = 0.1


@contextmanager
def serving(directory: Path) -> Iterator[None]:
    """While the block runs, no other process fills or serves the directory; notes this one.

    Raises UsageError where another process does.
    """
    with locked(directory / _LOCK):
        note = directory / _NOTE
        note.write_text(f"{os.getpid()} {started(os.getpid())}\n", encoding="ascii")
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def unusable(directory: Path, error: OSError) -> UsageError:
    """The error for a directory that can't be made, read or written."""
    return UsageError(
        "the directory can't be used",
        where=directory,
        found=cause(error),
        remedy="name another directory",
    )


def locked(path: Path) -> TextIO:
    """Held by this process until it ends or the file is closed. Raises UsageError."""
    try:
        file = path.open("w", encoding="ascii")
    except OSError as error:
        raise unusable(path.parent, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UsageError(
            "another process uses the directory",
            where=path.parent,
            remedy="use the server that it runs, end it (--down), or name another directory",
        ) from error
    return file


def bring_down(directory: Path) -> bool:
    """Ends the process that serves the directory, if one does, and removes the directory.

    Returns whether there was one. Raises TransientError where it does not end,
    PermanentError where the directory can't be removed.
    """
    server = _server(directory)
    if server is not None:
        pid, since = server
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _ENDS_WITHIN_S
        # The note goes first, and the server may still write while it stops.
        while started(pid) == since:
            if time.monotonic() > end:
                raise TransientError(
                    "the server does not stop", where=directory, found=f"process {pid}"
                )
            time.sleep(_LOOK_S)
    try:
        shutil.rmtree(directory.resolve())  # it may be a link to another disk
        if directory.is_symlink():
            directory.unlink()
    except OSError as error:
        raise PermanentError(
            "the directory can't be removed",
            where=directory,
            found=f"{error.strerror}: {error.filename}",
            remedy="no server runs on it any more: remove it yourself",
        ) from error
    return server is not None


def _server(directory: Path) -> tuple[int, str] | None:
    """The process that the note names and when it began, if it is that process still."""
    try:
        pid, since = (directory / _NOTE).read_text("ascii").split()
        return (int(pid), since) if started(int(pid)) == since else None
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(
            "not the file that names the serving process", where=directory / _NOTE
        ) from error
