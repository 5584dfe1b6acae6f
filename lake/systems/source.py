"""What every source can do.

Belongs here: the protocol and the choice by a dataset's kind. Does not: any system.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.errors import ConfigError
from lake.base.manifest import Manifest
from lake.base.settings import Settings

if TYPE_CHECKING:
    from lake.base.table import TableStream


@dataclass(frozen=True)
class Count:
    """How many rows the source says a day has, and the question it was asked."""

    rows: int
    method: str


MERGED_LINES = "merged_lines"
"""In a manifest's details: lines that are in the source's count and, for the dataset's own
pipeline made them equal, one line in the source's answer."""


def accounted(rows: int, details: Mapping[str, Any]) -> int:
    """The rows, and those that the source counts although it does not give them."""
    merged = details.get(MERGED_LINES, 0)
    return rows + (merged if isinstance(merged, int) else 0)


def is_whole(rows: int, counted: int, *, may_count_low: bool) -> bool:
    """Whether a read of so many rows is all that the source counted. See Source.may_count_low."""
    return rows == counted or (may_count_low and rows > counted)


class Source(Protocol):
    """A monitoring system that is read day by day.

    Every method may raise Refused, BadData, Incomplete (PermanentError) and TransientError.
    Safe to use from several threads.
    """

    lateness_days: int
    """For so many days after its end a day may still grow."""

    may_count_low: bool
    """Whether the count can be below the rows of a complete read (equal lines count once)."""

    def read(
        self, dataset: Dataset, day: Day, scratch: Path
    ) -> AbstractContextManager[TableStream]:
        """All rows of [00:00, 24:00) UTC. `scratch` is an empty directory for spooling."""

    def count(self, dataset: Dataset, day: Day) -> Count:
        """The number of rows, by another request than those of `read`."""

    def undated(self, dataset: Dataset) -> int | None:
        """Rows that belong to no day; None where the system knows no such rows."""

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """Rows dated before `start` or from `end` on; None where the system has no such rows:
        where what it keeps is bounded by time anyway, an old row is no mistake.
        """

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """The number of streams that the source lists for a day whose rows it does not return yet.

        Above 0 the day is not empty but late. 0 for systems that list nothing of the kind.
        """

    def stop(self) -> None:
        """Ends whatever runs or waits, within a second or so: it raises. Nothing runs after it."""

    def close(self) -> None:
        """Ends the connections."""


def open_source(name: str, settings: Settings) -> Source:
    """The source of that name; nothing is asked of it yet. Raises ConfigError."""
    section = getattr(settings.sources, name)
    if section is None:
        raise ConfigError(f"[sources.{name}] is not configured")
    opened: Source = _reader(name)(section)
    return opened


def count_problem(manifest: Manifest) -> str:
    """How a manifest's rows and its source's count disagree; empty where they do not."""
    rows, counted = accounted(manifest.rows, manifest.details), manifest.source_count
    if is_whole(rows, counted, may_count_low=_reader(manifest.source).may_count_low):
        return ""
    return f"{rows} rows are stored, the source counted {counted}"


def _reader(name: str) -> Any:
    """Its class. Imported where used: each brings its own client library."""
    if name == "mongo":
        from lake.systems.mongo.reading import MongoReader  # noqa: PLC0415

        return MongoReader
    if name == "prometheus":
        from lake.systems.prometheus.reading import PrometheusReader  # noqa: PLC0415

        return PrometheusReader
    from lake.systems.loki.reading import LokiReader  # noqa: PLC0415

    return LokiReader
