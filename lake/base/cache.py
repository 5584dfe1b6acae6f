"""The user's cache folder.

Belongs here: where it is. Does not: what is kept in it (lake.servers, lake.compiled).
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """`LAKE_CACHE_DIR`, else `monitoring-lake` in `XDG_CACHE_HOME` or `~/.cache`."""
    if own := os.environ.get("LAKE_CACHE_DIR"):
        return Path(own).absolute()
    parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent) / "monitoring-lake"
