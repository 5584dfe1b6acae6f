"""One day from Loki's log queries to disk.

Belongs here: which stretches of the day are read, in parallel, and what ends them early.
Does not: paging within a stretch, or what comes after.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import pyarrow as pa

from lake.base.day import Day
from lake.systems.loki.reading.answer import ROWS
from lake.systems.loki.reading.api import Api, Page, TooMany, TooWide
from lake.systems.loki.reading.limit import FIRST_LIMIT
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.oversized_instant import OversizedInstant
from lake.systems.loki.reading.paging import HOUR, Bound, between, lead_ns, pages
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.spool import RunWriter, Stretch

_RUN_BYTES = 12 << 20  # held in memory by all hours together, before they are sorted


def page_lines() -> Bound:
    """The number of lines of the first page."""
    return Bound(FIRST_LIMIT, 1, patience=50)


class Reading:
    """First a page of the day, which may hold all of it, then the rest hour by hour.

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
        rows, here = self._beginning()
        self._lines.at_most(self._api.limit.usual)
        writer = RunWriter(self._scratch / "beginning.arrow", _RUN_BYTES, self._ruled)
        writer.add(rows)
        return [writer.close(), *self._hours(here)]

    def _beginning(self) -> tuple[pa.Table, int]:
        """The rows of one page of the day, and up to which time these are all."""
        self.pages += 1
        start, end, limit = self._day.start_ns, self._day.end_ns, self._lines.value
        try:
            page = self._ask(start - lead_ns(start), end, limit)
        except TooWide:
            return ROWS.empty_table(), start
        except TooMany as error:
            self._lines.shrink(limit, error.times)
            return ROWS.empty_table(), start
        # A full page may end within its last instant.
        here = max(start, int(page.rows["ts_ns"].to_numpy().max())) if page.full else end
        return between(page.rows, start, here), here

    def _hours(self, here: int) -> list[Stretch]:
        """The rest of the day, from `here` on."""
        day = range(self._day.start_ns, self._day.end_ns, HOUR)
        starts = [max(start, here) for start in day if start + HOUR > here]
        with ThreadPoolExecutor(self._parallel, "loki") as pool:
            hours = [pool.submit(self._hour, start) for start in starts]
            try:
                wait(hours, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()  # after a failure the others end with their next page
            done = [hour.result() for hour in hours]
        self.pages += sum(pages for _, pages in done)
        return [stretch for stretch, _ in done]

    def _hour(self, start_ns: int) -> tuple[Stretch, int]:
        """The rows from then to the end of that hour, and how many pages they took."""
        hour = (start_ns - self._day.start_ns) // HOUR
        run_bytes = _RUN_BYTES // self._parallel
        writer = RunWriter(self._scratch / f"{hour:02d}.arrow", run_bytes, self._ruled)
        taken = 0
        if self._stop.is_set():
            return writer.close(), taken
        end_ns = self._day.start_ns + (hour + 1) * HOUR
        for rows in pages(self._ask, self._oversized.at, start_ns, end_ns, self._lines):
            if self._stop.is_set():
                break
            writer.add(rows)
            taken += 1
        return writer.close(), taken

    def _ask(self, start_ns: int, end_ns: int, limit: int) -> Page:
        return self._api.page(self._selector, start_ns, end_ns, limit)
