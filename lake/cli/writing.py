"""Files that commands write where the user says.

Belongs here: whether a file may be written, writing one, and the errors. Does not: their content.
"""

from __future__ import annotations

import os
from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import UsageError
from lake.process.scratch import replaced_at_once


def require_writable(file: Path, *, force: bool, remedy: str = "name another file") -> None:
    """Raises UsageError where the file is in no directory, or is there and not to be replaced."""
    try:
        exists, is_file, in_directory = file.exists(), file.is_file(), file.parent.is_dir()
    except OSError as error:  # a name too long, a directory that is closed to this user
        raise UsageError(
            "the file can't be written", where=file.absolute(), found=cause(error), remedy=remedy
        ) from error
    if exists and not is_file:
        raise UsageError("not a file", where=file.absolute(), remedy=remedy)
    if exists and not force:
        raise UsageError(
            "the file already exists",
            where=file.absolute(),
            remedy=f"--force replaces it; or {remedy}",
        )
    if not in_directory:
        raise UsageError("no such directory", where=file.parent.absolute())


def write_file(file: Path, text: str, mode: int | None = None) -> None:
    """Replaces the file in one step; a pipe, /dev/stdout, or a file in a directory closed to
    this user is written to. `mode`: the permissions of a new file. Raises UsageError.
    """
    try:
        if _is_stream(file) or not os.access(Path(os.path.realpath(file)).parent, os.W_OK):
            file.write_text(text, "utf-8")
        else:
            with replaced_at_once(file) as part:
                part.write_text(text, "utf-8")
                if mode is not None:
                    part.chmod(mode)
    except OSError as error:
        raise UsageError(
            "the file can't be written",
            where=file.absolute(),
            expected="a file in an existing directory that this user may write",
            found=cause(error),
            remedy="create the directory, or name another file",
        ) from error


def _is_stream(file: Path) -> bool:
    """What is written to as it is: a pipe, a device, also a name of an open file."""
    if file.exists() and not file.is_file():
        return True
    place = file.absolute()
    return place.is_relative_to("/dev") and not place.is_relative_to("/dev/shm")  # noqa: S108
