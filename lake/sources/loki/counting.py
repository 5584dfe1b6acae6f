"""Loki's own count of lines, which no paging and no limit can cut.

Belongs here: counting a stretch of time. Does not: what a difference means.
"""

from __future__ import annotations

from lake.sources.loki.api import Api, TooWide
from lake.sources.loki.paging import HOUR, MS, SECOND
from lake.sources.loki.selector import Selector


def counted(api: Api, selector: Selector, start_ns: int, end_ns: int) -> int:
    """The lines of [start, end), both whole milliseconds; in parts where that is too much."""
    # A range is open on the left and closed on the right.
    query = selector.count((end_ns - start_ns) // MS)
    try:
        return int(sum(value for _, value in api.vector(query, end_ns - 1)))
    except TooWide:
        if end_ns - start_ns <= SECOND:
            raise
    # First by hours, into which Loki's frontend cuts its work, then by halves.
    half = (end_ns - start_ns) // MS // 2 * MS
    part = HOUR if end_ns - start_ns > HOUR else half
    starts = range(start_ns, end_ns, part)
    return sum(counted(api, selector, at, min(at + part, end_ns)) for at in starts)
