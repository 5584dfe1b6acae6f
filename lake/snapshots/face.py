"""What every system's snapshot can do.

Belongs here: the protocol and the choice by a system's name. Does not: any system.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lake.base.day import Day
from lake.base.errors import ConfigError, UsageError
from lake.base.settings import Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.manifest import SYSTEMS


@dataclass(frozen=True)
class Taken:
    """What a system says of its snapshot. See SnapshotManifest for the fields."""

    server: dict[str, str]
    window: dict[str, str | None]
    counts: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    whole_days: list[Day] | None = None


def everything_until(at: datetime) -> dict[str, str | None]:
    """The window of a system whose files are all that it keeps; later rows may be among them."""
    return {"start": None, "end": at.isoformat(timespec="milliseconds")}


class Snapshotter(Protocol):
    """One system, as raw files.

    Raises Refused, Incomplete, BadData, Missing (PermanentError) and TransientError.
    """

    def take(self, day: Day, into: Collector) -> Taken:
        """Hands all files to the collector. What it made on the server is removed again.

        `day` is the last closed day: the one that `counts` is about.
        """

    def close(self) -> None:
        """Ends the connections."""


def configured_systems(settings: Settings) -> list[str]:
    """Those with a `[sources.…]`."""
    return [system for system in SYSTEMS if getattr(settings.sources, system) is not None]


def open_snapshotter(system: str, settings: Settings) -> Snapshotter:
    """The system's. Raises UsageError for an unknown one, ConfigError for one without settings."""
    if system not in SYSTEMS:
        raise UsageError("no such system", expected=", ".join(SYSTEMS), found=system)
    if getattr(settings.sources, system) is None:
        raise ConfigError(f"[sources.{system}] is not configured")
    if system == "prometheus":
        from lake.systems.prometheus.snapshot.taking import PrometheusSnapshotter  # noqa: PLC0415

        return PrometheusSnapshotter(settings)
    if system == "loki":
        from lake.systems.loki.snapshot.taking import LokiSnapshotter  # noqa: PLC0415

        return LokiSnapshotter(settings)
    from lake.systems.mongo.snapshot.taking import MongoSnapshotter  # noqa: PLC0415

    return MongoSnapshotter(settings)
