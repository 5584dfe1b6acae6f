"""Files that commands write where the user says.

Belongs here: writing one, and the error where that fails. Does not: their content.
"""

from __future__ import annotations

import os
from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import UsageError
from lake.process.scratch import replaced_at_once


def write_file(file: Path, text: str) -> None:
    """Replaces the file in one step; a pipe, /dev/stdout, or a file in a directory closed to
    this user is written to. Raises UsageError.
    """
    try:
        is_device = file.absolute().is_relative_to("/dev") or (file.exists() and not file.is_file())
        if is_device or not os.access(Path(os.path.realpath(file)).parent, os.W_OK):
            file.write_text(text, "utf-8")
        else:
            with replaced_at_once(file) as part:
                part.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            "the file can't be written",
            where=file.absolute(),
            expected="a file in an existing directory that this user may write",
            found=cause(error),
        ) from error
