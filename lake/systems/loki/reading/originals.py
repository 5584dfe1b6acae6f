"""Lines that a pipeline makes equal, and that Loki's answer then holds once.

Belongs here: how many rows a pipeline merges, and where it leaves none. Does not: reading them.

A count includes lines as they are stored, a log query as the pipeline leaves them: of two lines
of one stream and one time that a mask makes equal, and that lie in different chunks, the
answer has one. So the same lines are requested with the texts that they had before the
pipeline. They are counted for each stream and time, and none of them is kept. Where lines are
merged, at least one row is left: a time without a row has lost its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from lake.base.day import Day
from lake.systems.loki.reading.api import Api
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.oversized_instant import OversizedInstant
from lake.systems.loki.reading.paging import HOUR, Bound, pages
from lake.systems.loki.reading.spool import KEYS, keys_of


def merged_rows(originals: np.ndarray, present: np.ndarray) -> tuple[int, np.ndarray]:
    """The most lines that may be merged, and the keys of `originals` without any row.

    Both are arrays of KEYS, one for each line or row. Lines are only merged with a row of
    the same stream and time.
    """
    keys, which = np.unique(np.concatenate([originals, present]), return_inverse=True)
    before = np.bincount(which[: len(originals)], minlength=len(keys))
    after = np.bincount(which[len(originals) :], minlength=len(keys))
    merged = np.maximum(before - after, 0)[after > 0]
    return int(merged.sum()), keys[(before > 0) & (after == 0)]


def merged_rows_of_day(
    api: Api,
    selector: Selector,
    day: Day,
    parallel: int,
    present: Callable[[int, int], np.ndarray],
    without: Sequence[int] = (),
) -> tuple[int, np.ndarray]:
    """See `merged_rows`. `present` returns the keys of the rows of [start, end).

    The times in `without` are left out.
    """
    originals = selector.originals()
    oversized, lines = OversizedInstant(api, originals), Bound(api.limit.usual, 1, patience=50)

    def of_hour(start_ns: int) -> tuple[int, np.ndarray]:
        ask = partial(api.page, originals)
        tables = pages(ask, oversized.at, start_ns, start_ns + HOUR, lines)
        keys = np.concatenate([np.empty(0, KEYS), *map(keys_of, tables)])
        keys = keys[~np.isin(keys["ts_ns"], without)]
        return merged_rows(keys, present(start_ns, start_ns + HOUR))

    with ThreadPoolExecutor(min(parallel, 24), "loki-originals") as pool:
        hours = list(pool.map(of_hour, range(day.start_ns, day.end_ns, HOUR)))
    return sum(merged for merged, _ in hours), np.concatenate([lost for _, lost in hours])
