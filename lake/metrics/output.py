"""Writes metrics to a file that another program may read at any time.

Belongs here: replacing it at once. Does not: the text.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import UsageError

_MODE = 0o644  # node_exporter runs as another user


def write_atomically(file: Path, text: str) -> None:
    """Replaces the file in one step; of a link what it names. Raises UsageError where its directory
    can't be written.
    """
    half, file = None, Path(os.path.realpath(file))
    try:
        # The collector reads *.prom only.
        number, half = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.absolute().parent)
        with os.fdopen(number, "w", encoding="utf-8") as opened:
            opened.write(text)
            os.fchmod(opened.fileno(), _MODE)
        Path(half).replace(file)
    except OSError as error:
        if half:
            Path(half).unlink(missing_ok=True)
        raise UsageError(
            "the metrics can't be written",
            where=file.absolute(),
            expected="a file in an existing directory that this user may write",
            found=cause(error),
            remedy="create the directory, or name another file by --output",
        ) from error
