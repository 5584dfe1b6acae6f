"""One day from Loki's log queries to disk.

Belongs here: which stretches of the day are read, in parallel, and what ends them early.
Does not: paging within a stretch, or what comes after.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc

from lake.base.day import Day
from lake.systems.loki.reading.api import FIRST_LIMIT, Api, Page, TooMany, TooWide
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.oversized_instant import OversizedInstant
from lake.systems.loki.reading.paging import HOUR, Bound, lead_ns, pages
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.spool import RunWriter, Stretch

_RUN_BYTES = 12 << 20  # held in memory by all hours together, before they are sorted


def page_lines() -> Bound:
    """The number of lines of the first page."""
    return Bound(FIRST_LIMIT, 1, patience=50)


class Reading:
    """At once if the day fits into a page, else hour by hour.

    `lines` bounds the pages: a line is about as long at any hour, and on any day.
    """

    def __init__(
        self,
        api: Api,
        selector: Selector,
        day: Day,
        scratch: Path,
        parallel: int,
        lines: Bound,
        ruled: RuledRows | None = None,
    ) -> None:
        self._api = api
        self._selector = selector
        self._oversized = OversizedInstant(api, selector)
        self._day = day
        self._scratch = scratch
        self._parallel = min(parallel, 24)
        self._lines = lines
        self._ruled = ruled
        self._stop = Event()
        self.pages = 0

    def stretches(self) -> list[Stretch]:
        """All lines that Loki's log queries return, in the order of time."""
        rows = self._whole_day()
        self._lines.at_most(self._api.limit.usual)
        if rows is not None:
            writer = RunWriter(self._scratch / "day.arrow", _RUN_BYTES, self._ruled)
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
        limit = self._lines.value
        try:
            start = self._day.start_ns
            page = self._ask(start - lead_ns(start), self._day.end_ns, limit)
        except TooWide:
            return None
        except TooMany as error:
            self._lines.shrink(limit, error.times)
            return None
        return None if page.full else page.rows.filter(pc.field("ts_ns") >= start)

    def _hour(self, start_ns: int) -> tuple[Stretch, int]:
        """The rows of [start, start + 1 h), and how many pages they took."""
        hour = (start_ns - self._day.start_ns) // HOUR
        run_bytes = _RUN_BYTES // self._parallel
        writer = RunWriter(self._scratch / f"{hour:02d}.arrow", run_bytes, self._ruled)
        taken = 0
        if self._stop.is_set():
            return writer.close(), taken
        for rows in pages(self._ask, self._oversized.at, start_ns, start_ns + HOUR, self._lines):
            if self._stop.is_set():
                break
            writer.add(rows)
            taken += 1
        return writer.close(), taken

    def _ask(self, start_ns: int, end_ns: int, limit: int) -> Page:
        return self._api.page(self._selector, start_ns, end_ns, limit)
