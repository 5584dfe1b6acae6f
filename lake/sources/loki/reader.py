"""Loki as a source: the order of the steps.

Belongs here: which stretches of a day are read in parallel, what is checked afterwards.
Does not: paging, LogQL, the table's columns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lake.base.datasets import Dataset, LokiDataset, duration_ms
from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.base.settings import LokiSource
from lake.base.table import TableStream
from lake.sources.face import Count
from lake.sources.http import Http
from lake.sources.loki.api import Api, Limit
from lake.sources.loki.counting import counted
from lake.sources.loki.cover import cover
from lake.sources.loki.missing import Recovery
from lake.sources.loki.paging import Bound
from lake.sources.loki.reading import Reading, page_lines
from lake.sources.loki.selector import Selector
from lake.sources.loki.split import Split
from lake.sources.loki.spool import RunWriter, Spool, Stretch
from lake.sources.loki.table import partition

# Looks at no stream, and goes through the same queue as every query.
_PROBE = ("/loki/api/v1/query", {"query": "vector(1)"})


class LokiReader:
    """Reads `[sources.loki]`; see `Source`."""

    # The same (ts, line) with other metadata in another chunk is two lines, and counts once.
    may_count_low = True

    def __init__(self, section: LokiSource) -> None:
        self.lateness_days = section.lateness_days
        self._tenant = section.tenant
        self._http = Http(section, "loki", probe=_PROBE)
        self._limit = Limit()
        self._lines: dict[str, Bound] = {}
        self._split: Split | None = None

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """Columns: ts, ts_ns, stream_id, line, labels of lower case by name, labels, metadata.

        Sorted by stream_id and ts_ns; lines of one ns keep the order of Loki's answer.
        Raises Incomplete where Loki does not look back as far as this day.
        """
        selector = _selector(dataset)
        api = Api(self._http, self._limit)
        details = self._reach(api, day) | {"split_interval": self._split_of(api).told}
        parts = [self._part(api, part, day, scratch) for part in _parts(api, selector, day)]
        spool = Spool([stretch for part in parts for stretch in part.stretches])
        details |= {
            "selectors": len(parts),
            "pages": sum(part.pages for part in parts),
            "recovered_lines": sum(part.recovered for part in parts),
            "streams": len(api.streams.labels()),
            "limit": self._limit.usual,
            "requests": api.tally.requests,
            "retries": api.tally.retries,
        }
        yield partition(spool.sorted_batches(), api.streams.labels(), details)

    def _part(self, api: Api, selector: Selector, day: Day, scratch: Path) -> _Part:
        """The lines of one selector that Loki takes, those that it leaves out included."""
        folder = Path(tempfile.mkdtemp(dir=scratch))
        lines = self._lines.setdefault(str(selector), page_lines())
        reading = Reading(api, selector, day, folder, self._http.max_parallel, lines)
        stretches = reading.stretches()
        split, parallel = self._split_of(api), self._http.max_parallel
        lost = Recovery(api, selector, day, Spool(stretches), split, parallel).rows()
        if lost.num_rows:
            late = RunWriter(folder / "recovered.arrow")
            late.add(lost)
            # First, for such a line is the last of its chunk.
            stretches = [late.close(), *stretches]
        return _Part(stretches, reading.pages, lost.num_rows)

    def count(self, dataset: Dataset, day: Day) -> Count:
        """By a metric query over the day, or over parts of it where the day is too much."""
        selector = _selector(dataset)
        api = Api(self._http, self._limit)
        rows = [counted(api, part, day.start_ns, day.end_ns) for part in _parts(api, selector, day)]
        method = selector.count(day.end_ms - day.start_ms)
        if selector.everything:
            method += f", for {{}} {len(rows)} selectors that share out all streams"
        return Count(sum(rows), method)

    def undated(self, dataset: Dataset) -> int | None:
        """None: every line has a time."""
        return None

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """None: the server drops old rows by itself, and refuses those of days to come."""
        return None

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _split_of(self, api: Api) -> Split:
        """Asked for once: it takes a restart, or nearly one, to change it."""
        if self._split is None:
            self._split = Split.of(api.configuration())
        return self._split

    def _reach(self, api: Api, day: Day) -> dict[str, Any]:
        """What Loki tells of how far it keeps and looks back.

        Beyond max_query_lookback its answers are cut silently, and its counts with them.
        """
        told = api.limits(self._tenant)
        known = {
            name: str(told.get(name, "unknown"))
            for name in ("max_query_lookback", "retention_period")
        }
        lookback_ms = _duration_ms(known["max_query_lookback"])
        oldest = datetime.now(UTC) - timedelta(milliseconds=lookback_ms)
        if lookback_ms and day.start < oldest:
            raise Incomplete(
                "Loki does not look back to the whole of this day",
                where=f"{self._http.url('')} {day}",
                expected=f"a day after {oldest:%Y-%m-%dT%H:%M:%SZ}",
                found=f"max_query_lookback = {known['max_query_lookback']}",
                remedy="raise max_query_lookback in Loki's limits_config for this export",
            )
        return known


@dataclass(frozen=True)
class _Part:
    """What was read of one selector, and how."""

    stretches: list[Stretch]
    pages: int
    recovered: int


def _parts(api: Api, selector: Selector, day: Day) -> Iterator[Selector]:
    """The selector, or for `{}` those that share out all streams.

    Streams with labels of new names that come up in the meantime have theirs at the end.
    """
    if not selector.everything:
        yield selector
        return
    done: list[str] = []
    while new := list(cover(selector, api.label_names(day.start_ns, day.end_ns), done)):
        for name, part in new:
            yield part
            done.append(name)


def _duration_ms(told: str) -> int:
    """0 for what is no duration."""
    try:
        return duration_ms(told)
    except ValueError:
        return 0


def _selector(dataset: Dataset) -> Selector:
    if not isinstance(dataset, LokiDataset):
        raise UsageError(
            "not a dataset of Loki", where=dataset.name, found=f"source = {dataset.source!r}"
        )
    return Selector.parse(dataset.selector)
