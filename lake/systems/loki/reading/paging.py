"""A stretch of time, page by page, so that every line comes exactly once.

Belongs here: where the next page starts, how wide and how long it may be.
Does not: HTTP, or what is in a line.

Loki has no pages of its own: a query returns the first `limit` lines of [start, end). A full
page may have been cut within its last instant, so the rows of that instant are dropped and
the next page starts there. That needs no comparison of lines, of which equal ones may exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from lake.systems.loki.reading.api import NARROWEST_NS, Page, TooMany, TooWide, Unordered

MS = 1_000_000
SECOND = 1000 * MS
HOUR = 3600 * SECOND

Ask = Callable[[int, int, int], Page]
"""start_ns, end_ns, limit → the first lines of [start, end)."""
Instant = Callable[[int], pa.Table]
"""ts_ns → all lines of exactly that time."""


def lead_ns(start_ns: int) -> int:
    """How much earlier a page has to start, to be complete from `start_ns` on.

    Loki 3.7 leaves out the last line of a chunk where it sits exactly at a query's start and
    that is a whole millisecond: 1 ns earlier fixes it. Not where Loki's frontend splits the
    query anyway; there `missing` finds such lines.
    """
    return 1 if start_ns % MS == 0 else 0


class Bound:
    """A limit that shrinks when a request is too large, and doubles after `patience` good answers.

    A refusal may take Loki 20 s, so each doubles `patience`. Threads may share one: the number
    of answers is then approximate.
    """

    def __init__(self, value: int, floor: int, patience: int) -> None:
        self.value = self._ceiling = value
        self._floor = floor
        self._patience = patience
        self._good = 0

    def shrink(self, tried: int, times: float = 2.0) -> bool:
        """`tried` was `times` too large; returns whether a smaller value is left."""
        self._good = 0
        self._patience *= 2
        if tried <= self._floor:
            return False
        self.value = max(self._floor, min(self.value, int(tried / times)))
        return True

    def at_most(self, ceiling: int) -> None:
        """Never more than this from now on."""
        self._ceiling = min(self._ceiling, ceiling)
        self.value = min(self.value, ceiling)

    def relax(self) -> None:
        """`value` or less was answered."""
        self._good += 1
        if self._good >= self._patience:
            self.value = min(self._ceiling, self.value * 2)
            self._good = 0


def pages(
    ask: Ask, instant: Instant, start_ns: int, end_ns: int, lines: Bound
) -> Iterator[pa.Table]:
    """Tables of rows, each wholly later than the one before, together all of [start, end).

    After TooWide and TooMany of `ask` a smaller page is requested; they are raised where a page
    can't be smaller. After Unordered no page is of several parts.
    """
    parts_ns, with_lead = 0, True
    width = Bound(end_ns - start_ns, NARROWEST_NS, patience=4)
    here = start_ns
    while here < end_ns:
        there = here + width.value
        # An odd number of ns, so that the page after this one needs no lead.
        there = end_ns if there >= end_ns else (there - 1) | 1
        if parts_ns:
            there = min(there, (here // parts_ns + 1) * parts_ns)
        lead, limit = lead_ns(here) if with_lead else 0, lines.value
        try:
            page = ask(here - lead, there, limit)
        except Unordered as error:
            with_lead = not parts_ns  # the second time only the lead is of another part
            parts_ns = error.parts_ns
            continue
        except TooWide:
            if not width.shrink(there - here):
                raise
            continue
        except TooMany as error:
            if not lines.shrink(limit, error.times):
                raise
            continue
        with_lead = True
        times = page.rows["ts_ns"].to_numpy()
        if not page.full:
            yield between(page.rows, here, there)
            here = there
        elif ((times >= here) & (times < times.max())).any():
            last = int(times.max())
            yield between(page.rows, here, last)
            here = last
        else:  # one instant has filled the page, or the lead before it has
            crowded = max(here, int(times.max()))
            yield instant(crowded)
            here = crowded + 1
        width.relax()
        lines.relax()


def between(rows: pa.Table, start_ns: int, end_ns: int) -> pa.Table:
    """The rows of [start, end)."""
    times = rows["ts_ns"].to_numpy()
    return rows.filter(pa.array((times >= start_ns) & (times < end_ns)))
