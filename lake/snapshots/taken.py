"""What a system reports about a snapshot that it has taken.

Belongs here: the type, a window. Does not: any system, taking (lake.systems).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lake.base.day import Day


@dataclass(frozen=True)
class Taken:
    """See SnapshotManifest for the fields."""

    server: dict[str, str]
    window: dict[str, str | None]
    counts: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    whole_days: list[Day] | None = None


def everything_until(at: datetime) -> dict[str, str | None]:
    """The window of a system whose files are all that it keeps; later rows may be among them."""
    return {"start": None, "end": at.isoformat(timespec="milliseconds")}
