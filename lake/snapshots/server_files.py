"""The files below the directory of a server that keeps writing there.

Belongs here: finding all of them, the error where one can't be read. Does not: what they are,
copying (collecting).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lake.base.errors import PermanentError

_OF_THE_DISK = "lost+found"  # only root can read it, and no server writes there


class GoneError(Exception):
    """The file is not there any more."""

    def __init__(self, source: Path) -> None:
        super().__init__(str(source))
        self.source = source


def files_below(directory: Path, places: Sequence[Path] = ()) -> Iterator[Path]:
    """Every file at any depth, in no order; what the server removes meanwhile is left out.

    Links to directories are followed where they lead to one of `places`, which the server uses.
    Raises PermanentError where a directory can't be read: its files would be missing in silence.
    """
    seen: set[tuple[int, int]] = set()
    for where, folders, files in os.walk(directory, onerror=_raise_unless_gone, followlinks=True):
        try:
            stat = Path(where).stat()
        except FileNotFoundError:
            folders.clear()
            continue
        folders[:] = [
            name
            for name in folders
            if name != _OF_THE_DISK and _is_entered(Path(where, name), places)
        ]
        if (stat.st_dev, stat.st_ino) in seen:  # a link to a directory above it
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        yield from filter(_is_file, (Path(where, name) for name in files))


@contextmanager
def reading(source: Path) -> Iterator[None]:
    """Within the block the file is read. Raises GoneError, PermanentError where that fails."""
    try:
        yield
    except FileNotFoundError as error:
        raise GoneError(source) from error
    except OSError as error:
        raise _unreadable(source, error) from error


def _is_entered(folder: Path, places: Sequence[Path]) -> bool:
    return not folder.is_symlink() or any(
        place.is_relative_to(folder) or folder.is_relative_to(place) for place in places
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(path, error) from error


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise _unreadable(Path(str(error.filename)), error) from error


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(
        "the server's files can't be read",
        where=path,
        found=error.strerror,
        remedy="run this as the server's user, or let this user read the directory and all below "
        "it; no snapshot was stored",
    )
