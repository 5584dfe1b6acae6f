"""Which UTC days a snapshot holds whole: everything that its server had of a day that was over.

Belongs here: the days of blocks, chunks and retention. Does not: reading them from a
server, or choosing a snapshot by its days (`SnapshotManifest.held_days`).

A day without any data is not listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from lake.base.day import Day

_DAY_MS = 86_400_000
# Prometheus cuts blocks at multiples of two hours; only a server's first sample lies elsewhere.
_CUT_MS = 7_200_000
_EPOCH = date(1970, 1, 1)


def days_of_blocks(
    blocks: Iterable[Mapping[str, Any]], taken: datetime, settled_until: datetime | None = None
) -> list[Day]:
    """Of Prometheus blocks (each its `meta.json`), as of `taken`.

    Retention removes whole blocks. So the day in which the oldest block begins is whole only
    where nothing was cut off: at midnight, or at the first sample that the server ever had.
    `settled_until`: later days may lack samples that the snapshot could not take.
    """
    spans = [(int(block["minTime"]), int(block["maxTime"])) for block in blocks]
    spans = [(start, end) for start, end in spans if start < end]
    if not spans:
        return []
    oldest = min(start for start, _ in spans)
    last = min(taken, settled_until) if settled_until else taken
    days = _over(_days(spans), last)
    return [
        day for day in days if oldest <= day.start_ms or (oldest < day.end_ms and oldest % _CUT_MS)
    ]


def is_first_sample(oldest: datetime) -> bool:
    """Whether Prometheus' oldest block begins with the first sample that the server ever had."""
    return round(oldest.timestamp() * 1000) % _CUT_MS != 0


def days_of_chunks(
    spans: Iterable[tuple[int, int]], taken: datetime, kept: timedelta | None
) -> list[Day]:
    """Of Loki's chunks (first and last line, in ms, both inclusive), as of `taken`.

    `kept` is how far back Loki keeps every line, None for ever.
    """
    days = _over(_days((start, end + 1) for start, end in spans), taken)
    return days if kept is None else [day for day in days if day.start >= taken - kept]


def _over(numbers: Iterable[int], taken: datetime) -> list[Day]:
    days = (Day(_EPOCH + timedelta(days=number)) for number in sorted(numbers))
    return [day for day in days if day.end <= taken]


def _days(spans: Iterable[tuple[int, int]]) -> set[int]:
    """The days, counted from the epoch, of half-open spans in ms."""
    days: set[int] = set()
    for start, end in spans:
        days.update(range(start // _DAY_MS, (end - 1) // _DAY_MS + 1))
    return days
