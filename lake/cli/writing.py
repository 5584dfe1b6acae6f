"""Files that commands write where the user says.

Belongs here: writing one, and the error where that fails. Does not: their content.
"""

from __future__ import annotations

from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import UsageError


def write_file(file: Path, text: str) -> None:
    """Replaces the file. Raises UsageError."""
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            "the file can't be written",
            where=file.absolute(),
            expected="a file in an existing directory that this user may write",
            found=cause(error),
        ) from error
