"""The user's cache folder.

Belongs here: where it is. Does not: what is kept in it (lake.servers, lake.compiled).
"""

from __future__ import annotations

import os
from pathlib import Path

from lake.base.errors import UsageError


def cache_dir() -> Path:
    """`LAKE_CACHE_DIR`, else `monitoring-lake` in `XDG_CACHE_HOME` or `~/.cache`.

    Raises UsageError for a user without a home directory, as in a container with another uid.
    """
    if own := os.environ.get("LAKE_CACHE_DIR"):
        return Path(own).absolute()
    parent = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if parent.is_absolute():  # the XDG specification has others ignored
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
