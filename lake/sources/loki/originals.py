"""Lines that a pipeline makes equal, and that Loki's answer then holds once.

Belongs here: how many rows a pipeline merges, and where it leaves none. Does not: reading them.

A count takes lines as they are stored, a log query as the pipeline leaves them: of two lines
of one stream and one time that a mask makes equal, and that lie in different chunks, the
answer has one. So the same lines are asked for with the texts that they had before the
pipeline. They are counted for each stream and time, and none of them is kept. Where lines are
merged, at least one row is left: a time without a row has lost its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from lake.base.day import Day
from lake.sources.loki.api import Api
from lake.sources.loki.crowd import Crowd
from lake.sources.loki.paging import HOUR, Bound, pages
from lake.sources.loki.selector import Selector


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


def passing(
    api: Api, selector: Selector, day: Day, parallel: int, limit: int, without: Sequence[int] = ()
) -> int:
    """How many lines pass the selector's pipeline and are in Loki's answers.

    Those of the times in `without` are left out.
    """
    originals = selector.originals()
    crowd, lines = Crowd(api, originals), Bound(limit, 1, patience=50)

    def of_hour(start_ns: int) -> int:
        ask = partial(api.page, originals)
        found = pages(ask, crowd.at, start_ns, start_ns + HOUR, lines)
        times = (table["ts_ns"].to_numpy() for table in found)
        return sum(int((~np.isin(some, without)).sum()) for some in times)

    with ThreadPoolExecutor(min(parallel, 24), "loki-originals") as pool:
        return sum(pool.map(of_hour, range(day.start_ns, day.end_ns, HOUR)))
