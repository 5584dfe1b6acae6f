"""A stretch of time, page by page, so that every line comes exactly once.

Belongs here: where the next page starts, how wide and how long it may be.
Does not: HTTP, or what is in a line.

Loki has no pages of its own: a query gives the first `limit` lines of [start, end). A full
page may have been cut within its last instant, so the rows of that instant are dropped and
the next page starts there. That needs no comparison of lines, of which equal ones may exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from lake.sources.loki.api import Page, TooMany, TooWide

MS = 1_000_000
SECOND = 1000 * MS
HOUR = 3600 * SECOND
_PATIENCE = 4

Ask = Callable[[int, int, int], Page]
"""start_ns, end_ns, limit → the first lines of [start, end)."""
Instant = Callable[[int], pa.Table]
"""ts_ns → all lines of exactly that time."""


def lead_ns(start_ns: int) -> int:
    """How much earlier a page has to be asked for, to begin whole at `start_ns`.

    Loki 3.7 leaves out the last line of a chunk where it sits exactly at a query's start and
    that is a whole millisecond: 1 ns earlier mends it. Not at full hours, where Loki's
    frontend cuts each query in two anyway; there `missing` looks after such lines.
    """
    return 1 if start_ns % MS == 0 and start_ns % HOUR else 0


def pages(
    ask: Ask, instant: Instant, start_ns: int, end_ns: int, limit: Callable[[], int]
) -> Iterator[pa.Table]:
    """Tables of rows, each wholly later than the one before, together all of [start, end).

    `ask` may raise TooWide and TooMany, which are answered by asking for less; what cannot
    be asked for in smaller parts is raised.
    """
    width = _Bound(end_ns - start_ns, SECOND)
    lines = _Bound(limit(), 1)
    here = start_ns
    while here < end_ns:
        # An odd number of ns, so that the page after this one needs no lead.
        there = end_ns if here + width.value >= end_ns else (here + width.value) | 1
        lead = lead_ns(here)
        try:
            page = ask(here - lead, there, min(lines.value, limit()))
        except TooWide:
            if not width.shrink(there - here):
                raise
            continue
        except TooMany:
            if not lines.shrink(lines.value):
                raise
            continue
        times = page.rows["ts_ns"].to_numpy()
        if not page.full:
            yield _between(page.rows, times, here, there)
            here = there
        elif ((times >= here) & (times < times.max())).any():
            last = int(times.max())
            yield _between(page.rows, times, here, last)
            here = last
        else:  # one instant has filled the page, or the lead before it has
            crowded = max(here, int(times.max()))
            yield instant(crowded)
            here = crowded + 1
        width.relax()
        lines.relax()


def _between(rows: pa.Table, times: np.ndarray, start_ns: int, end_ns: int) -> pa.Table:
    return rows.filter(pa.array((times >= start_ns) & (times < end_ns)))


class _Bound:
    """Halved when the server has had too much, doubled after some good answers."""

    def __init__(self, value: int, floor: int) -> None:
        self.value = self._ceiling = value
        self._floor = floor
        self._good = 0

    def shrink(self, tried: int) -> bool:
        """Whether there was something left to halve."""
        if self.value == self._floor:
            return False
        self.value = max(self._floor, min(self.value, tried) // 2)
        self._good = 0
        return True

    def relax(self) -> None:
        self._good += 1
        if self._good >= _PATIENCE and self.value < self._ceiling:
            self.value = min(self._ceiling, self.value * 2)
            self._good = 0
