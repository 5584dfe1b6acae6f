"""Counts of a day, when a read is whole, and what sources without a server have in common.

Belongs here: the arithmetic of rows and counts. Does not: reading (a system's `reading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.erased import erased_rows


@dataclass(frozen=True)
class Count:
    """How many rows the source counts for a day, and the request that counted them.

    `overwritten`: the source has removed rows of the day, or may have, to make room for new ones,
    at whatever age: fewer rows than before are no finding.
    """

    rows: int
    method: str
    overwritten: bool = False


MERGED_LINES = "merged_lines"
"""In a manifest's details: lines that are in the source's count and, for the dataset's own
pipeline made them equal, one line in the source's answer."""


SNAPSHOT = "snapshot"
"""In a manifest's details: the snapshot that the rows were read and counted from; absent where
that was the source itself."""


def accounted(rows: int, details: Mapping[str, Any]) -> int:
    """The rows, and those that the source counts although it does not give them, or that were
    erased since.
    """
    merged = details.get(MERGED_LINES, 0)
    return rows + (merged if isinstance(merged, int) else 0) + erased_rows(details)


def is_whole(rows: int, counted: int, *, may_count_low: bool) -> bool:
    """Whether a read that returned `rows` is complete. See Source.may_count_low."""
    return rows == counted or (may_count_low and rows > counted)


class WithoutServer:
    """The part of a Source that needs no server: every row belongs to a day, all rows are shown,
    and no connection is open.
    """

    may_count_low = False

    def undated(self, dataset: Dataset) -> int | None:
        """See Source."""
        return None

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source."""
        return None

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """See Source."""
        return 0

    def stop(self) -> None:
        """See Source: no request waits; rows come from the lake, read batch by batch."""

    def close(self) -> None:
        """See Source."""
