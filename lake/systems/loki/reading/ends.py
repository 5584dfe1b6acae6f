"""The last nanosecond of each part of a count, which Loki 2.6 to 3.2 leave out.

Belongs here: at which parts' ends there may be lines. Does not: counting them.
"""

from __future__ import annotations

from lake.systems.loki.reading.api import Api
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.paging import SECOND
from lake.systems.loki.reading.split import Split

_MOST_STEPS = 10_000  # of one query; Loki allows 11,000


def ends_with_lines(
    api: Api, of: Selector, split: Split | None, start_ns: int, end_ns: int
) -> list[int]:
    """The ends of the parts of a count, but the last, before which there is a line within 1 ms."""
    interval = split.interval_ns if split else 0
    if not interval or not api.dialect.version.splits_counts:
        return []
    parts = (end_ns - 1 - start_ns) // interval
    query, ends = of.count(1, drops=api.dialect.drops), []
    for first in range(parts, 0, -_MOST_STEPS):
        last = max(1, first - _MOST_STEPS + 1)
        at = (end_ns - first * interval, end_ns - last * interval)
        counts = api.sum_at_steps(query, *at, interval // SECOND)
        ends += [second * SECOND for second, rows in counts.items() if rows]
    return sorted(ends)
