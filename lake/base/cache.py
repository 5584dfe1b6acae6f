"""The user's cache folder.

Belongs here: where it is, writing a file of it. Does not: what is kept in it (lake.servers,
lake.compiled, lake.query).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lake.base.errors import UsageError


def cache_dir() -> Path:
    """`LAKE_CACHE_DIR`, else `monitoring-lake` in `XDG_CACHE_HOME` or `~/.cache`.

    Raises UsageError for a user without a home directory, as in a container with another uid.
    """
    if own := os.environ.get("LAKE_CACHE_DIR"):
        return Path(own).absolute()
    parent = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if parent.is_absolute():  # the XDG specification says to ignore others
        return parent / "monitoring-lake"
    try:
        return Path.home() / ".cache/monitoring-lake"
    except RuntimeError as error:
        raise UsageError(
            "no folder for the cache",
            where=f"user {os.getuid()}",
            expected="HOME, or an entry in /etc/passwd",
            found="neither",
            remedy="set LAKE_CACHE_DIR to a folder that this user may write",
        ) from error


def write_cached(file: Path, content: bytes) -> None:
    """Makes the file in one step, for this user alone, and its directory. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(part).replace(file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
