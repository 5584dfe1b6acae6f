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
_MS = timedelta(milliseconds=1)
_EPOCH = date(1970, 1, 1)
# A block begins with its first sample, so shortly after the time at which it was cut.
BEGINS_WITHIN = timedelta(minutes=5)


def days_of_blocks(
    blocks: Iterable[Mapping[str, Any]],
    taken: datetime,
    settled_until: datetime | None = None,
    kept: timedelta | None = None,
) -> list[Day]:
    """Of Prometheus blocks (each its `meta.json`), as of `taken`.

    Retention removes whole blocks. So the day in which the oldest block begins is whole only where
    it begins with the day, or where no block was old enough to be removed: `kept` is how far back
    from the newest sample none is, None where that is unknown. `settled_until`: later days may lack
    samples that the snapshot could not take.
    """
    spans = [(int(block["minTime"]), int(block["maxTime"])) for block in blocks]
    spans = [(start, end) for start, end in spans if start < end]
    if not spans:
        return []
    oldest = min(start for start, _ in spans)
    from_ms = kept_from_ms(spans, kept)
    last = min(taken, settled_until) if settled_until else taken
    return [
        day
        for day in _over(_days(spans), last)
        if oldest <= day.start_ms + BEGINS_WITHIN // _MS
        or (from_ms is not None and from_ms <= day.start_ms)
    ]


def kept_from_ms(spans: Iterable[tuple[int, int]], kept: timedelta | None) -> int | None:
    """From when on no block of these can have been removed; None where that is unknown."""
    newest = max((end for _, end in spans), default=None)
    return None if newest is None or kept is None else newest - kept // _MS


def days_of_chunks(
    spans: Iterable[tuple[int, int]],
    taken: datetime,
    kept: timedelta | None,
    copied: datetime | None = None,
) -> list[Day]:
    """Of Loki's chunks (first and last line, in ms, both inclusive), as of `taken`.

    `kept` is how far back Loki keeps every line, None for ever; at the latest counted from when
    they were all `copied`, for retention goes on meanwhile.
    """
    days = _over(_days((start, end + 1) for start, end in spans), taken)
    return days if kept is None else [day for day in days if day.start >= (copied or taken) - kept]


def _over(numbers: Iterable[int], taken: datetime) -> list[Day]:
    days = (Day(_EPOCH + timedelta(days=number)) for number in sorted(numbers))
    return [day for day in days if day.end <= taken]


def _days(spans: Iterable[tuple[int, int]]) -> set[int]:
    """The days, counted from the epoch, of half-open spans in ms."""
    days: set[int] = set()
    for start, end in spans:
        days.update(range(start // _DAY_MS, (end - 1) // _DAY_MS + 1))
    return days
