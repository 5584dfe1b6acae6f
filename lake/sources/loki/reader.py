"""Loki as a source: the order of the steps.

Belongs here: which stretches of a day are read in parallel, what is checked afterwards.
Does not: paging, LogQL, the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa

from lake.base.datasets import Dataset, LokiDataset, duration_ms
from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.base.settings import LokiSource
from lake.base.table import TableStream
from lake.sources.face import Count
from lake.sources.http import Http
from lake.sources.loki.api import Api, Limit, Page, TooMany, TooWide
from lake.sources.loki.crowd import Crowd
from lake.sources.loki.missing import Recovery
from lake.sources.loki.paging import HOUR, pages
from lake.sources.loki.selector import Selector
from lake.sources.loki.spool import RunWriter, Spool, Stretch
from lake.sources.loki.table import partition

_RUN_BYTES = 64 << 20  # held in memory by all hours together, before they are sorted


class LokiReader:
    """Reads `[sources.loki]`; see `Source`."""

    # The same (ts, line) with other metadata in another chunk is two lines, and counts once.
    may_count_low = True

    def __init__(self, section: LokiSource) -> None:
        self.lateness_days = section.lateness_days
        self._tenant = section.tenant
        self._http = Http(section, "loki")
        self._limit = Limit()

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """Columns: ts, ts_ns, stream_id, line, labels of lower case by name, labels, metadata.

        Sorted by stream_id and ts_ns; lines of one ns keep the order of Loki's answer.
        Raises Incomplete where Loki does not look back as far as this day.
        """
        selector = _selector(dataset)
        api = Api(self._http, self._limit)
        details = self._reach(api, day)
        reading = _Reading(api, selector, day, scratch, self._http.max_parallel)
        stretches = reading.stretches()
        spool = Spool(stretches)
        lost = Recovery(api, selector, day, spool).rows()
        if lost.num_rows:
            late = RunWriter(scratch / "recovered.arrow", _RUN_BYTES)
            late.add(lost)
            # First, for such a line is the last of its chunk.
            spool = Spool([late.close(), *stretches])
        details |= {
            "pages": reading.pages,
            "recovered_lines": lost.num_rows,
            "streams": len(api.streams.labels()),
            "limit": self._limit.usual,
            "requests": api.tally.requests,
            "retries": api.tally.retries,
        }
        yield partition(spool.sorted_batches(), api.streams.labels(), details)

    def count(self, dataset: Dataset, day: Day) -> Count:
        """By a metric query over the day, or over each hour where the day is too much."""
        selector = _selector(dataset)
        api = Api(self._http, self._limit)
        counted = Recovery(api, selector, day, Spool([])).counted
        try:
            return Count(counted(day.start_ns, day.end_ns), selector.count(86_400_000))
        except TooWide:
            hours = [counted(at, at + HOUR) for at in range(day.start_ns, day.end_ns, HOUR)]
            return Count(sum(hours), f"{selector.count(3_600_000)}, hour by hour")

    def undated(self, dataset: Dataset) -> int | None:
        """None: every line has a time."""
        return None

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _reach(self, api: Api, day: Day) -> dict[str, Any]:
        """What Loki tells of how far it keeps and looks back.

        Beyond max_query_lookback its answers are cut silently, and its counts with them.
        """
        told = api.limits(self._tenant)
        known = {
            name: told[name] for name in ("max_query_lookback", "retention_period") if name in told
        }
        lookback_ms = duration_ms(str(known.get("max_query_lookback", "0s")))
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


class _Reading:
    """One day on its way to disk: at once if it fits into a page, else hour by hour."""

    def __init__(
        self, api: Api, selector: Selector, day: Day, scratch: Path, parallel: int
    ) -> None:
        self._api = api
        self._selector = selector
        self._crowd = Crowd(api, selector)
        self._day = day
        self._scratch = scratch
        self._parallel = min(parallel, 24)
        self._stop = Event()
        self.pages = 0

    def stretches(self) -> list[Stretch]:
        """Everything Loki's log queries give, in the order of time."""
        rows = self._whole_day()
        if rows is not None:
            writer = RunWriter(self._scratch / "day.arrow", _RUN_BYTES)
            writer.add(rows)
            return [writer.close()]
        with ThreadPoolExecutor(self._parallel, "loki") as pool:
            starts = range(self._day.start_ns, self._day.end_ns, HOUR)
            hours = [pool.submit(self._hour, start) for start in starts]
            try:
                wait(hours, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()  # after a failure the others end with their next page
            done = [hour.result() for hour in hours]
        self.pages += sum(pages for _, pages in done)
        return [stretch for stretch, _ in done]

    def _whole_day(self) -> pa.Table | None:
        """All rows, or None where one page does not hold them."""
        self.pages += 1
        try:
            page = self._ask(self._day.start_ns, self._day.end_ns, self._api.limit.usual)
        except (TooWide, TooMany):
            return None
        return None if page.full else page.rows

    def _hour(self, start_ns: int) -> tuple[Stretch, int]:
        """The rows of [start, start + 1 h), and how many pages they took."""
        hour = (start_ns - self._day.start_ns) // HOUR
        writer = RunWriter(self._scratch / f"{hour:02d}.arrow", _RUN_BYTES // self._parallel)
        taken = 0
        for rows in pages(
            self._ask, self._crowd.at, start_ns, start_ns + HOUR, lambda: self._api.limit.usual
        ):
            if self._stop.is_set():
                break
            writer.add(rows)
            taken += 1
        return writer.close(), taken

    def _ask(self, start_ns: int, end_ns: int, limit: int) -> Page:
        return self._api.page(self._selector, start_ns, end_ns, limit)


def _selector(dataset: Dataset) -> Selector:
    if not isinstance(dataset, LokiDataset):
        raise UsageError(
            "not a dataset of Loki", where=dataset.name, found=f"source = {dataset.source!r}"
        )
    return Selector.parse(dataset.selector)
