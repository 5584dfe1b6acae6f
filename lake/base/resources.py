"""Locates the files that come with the package: SQL, and sources of the servers' builds.

Belongs here: telling a checkout from an installed wheel. Does not: what the files mean.
"""

from __future__ import annotations

from pathlib import Path

from lake.base.errors import Missing

_PACKAGE = Path(__file__).resolve().parents[1]


def resource_path(relative: str) -> Path:
    """The file or directory, such as `sql/trends` or `deploy/tools/loki`.

    In a checkout it stands beside the package `lake`, in a wheel in `lake/_resources`.
    Raises Missing.
    """
    candidates = [_PACKAGE.parent / relative, _PACKAGE / "_resources" / relative]
    # An installed package has foreign neighbours, so its own copy goes first.
    if (_PACKAGE / "_resources").is_dir():
        candidates.reverse()
    for path in candidates:
        if path.exists():
            return path
    raise Missing(
        "a file of the package is not there",
        where=candidates[0],
        remedy="install monitoring-lake again, or run it from a whole checkout",
    )
