"""A day of a Loki before 3.0: exact for each stream, though a query of several streams is not.

Belongs here: which streams are read together and which alone, and how that is proven.
Does not: paging, LogQL, counting.

Loki before 2.6 takes equal lines of different streams at one time for one line, in log
queries and in counts alike. A query of one stream is exact. So each stream is counted by
itself, many in one request; the day is read for all streams together, and those streams that
came out short are read again, one by one. Lines that a pipeline makes equal are one line in
Loki's answer, while a count takes them as they were: see `_merged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count as numbers
from pathlib import Path
from threading import Lock, local

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.sources.loki.api import Api, Page, TooMany, TooWide
from lake.sources.loki.counting import counted_streams
from lake.sources.loki.crowd import Crowd
from lake.sources.loki.paging import Bound, lead_ns, pages
from lake.sources.loki.reading import Reading
from lake.sources.loki.selector import Selector
from lake.sources.loki.spool import RunWriter, Stretch
from lake.sources.loki.stream_set import StreamSet, resolve_one, streams_between

_RUN_BYTES = 12 << 20  # held in memory by all threads together
_MANY_LINES = 100_000  # of a stream; its hours are read in parallel
_MOST_IN_HOURS = 8  # streams; each of them has 24 files open in the end


@dataclass
class ByStream:
    """Reads one selector. `lines` bounds the pages, as in Reading."""

    api: Api
    selector: Selector
    day: Day
    scratch: Path
    parallel: int
    lines: Bound
    pages: int = 0
    merged: int = 0
    """Lines that are in the counts and, made equal by the pipeline, not in Loki's answers."""
    alone: int = 0
    """Streams that were read one by one."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def stretches(self) -> list[Stretch]:
        """Everything Loki gives of each stream. Where that is short of the count, it stays so."""
        streams = streams_between(self.api, self.selector, self.day.start_ns, self.day.end_ns)
        if not self.selector.filters_only:  # labels may come changed, so that they name no stream
            self._try(streams)
            return self._one_by_one(streams, self._counted(streams))
        together = self._together(streams)
        read = rows_by_stream(together)
        counts = self._counted(streams)
        unclear = streams.ambiguous() if self._may_have_metadata else set()
        again = {
            number: rows
            for number, rows in counts.items()
            if number in unclear or read.get(number, 0) < rows
        }
        kept = [stretch.without(unclear | again.keys()) for stretch in together]
        return [*kept, *self._one_by_one(streams, again)]

    def _try(self, streams: StreamSet) -> None:
        """Raises Refused for what is no selector, even on a day without streams."""
        api = self.api.resolving(streams.resolve)
        api.page(self.selector, self.day.start_ns, self.day.end_ns, 1)

    @property
    def _may_have_metadata(self) -> bool:
        version = self.api.dialect.version
        return version.numbers is None or version.knows_metadata

    def _together(self, streams: StreamSet) -> list[Stretch]:
        """The day for all streams at once. Streams that come up meanwhile are added to the set."""
        folder = self._folder("together")
        api = self.api.resolving(streams.resolve)
        reading = Reading(api, self.selector, self.day, folder, self.parallel, self.lines)
        found = reading.stretches()
        self.pages += reading.pages
        known, labels = streams.all(), self.api.streams.labels()
        for number in rows_by_stream(found).keys() - known.keys():
            streams.add(labels[number])
        return found

    def _counted(self, streams: StreamSet) -> dict[int, int]:
        """Id → lines of the day, as Loki counts each stream."""
        selectors = {
            number: streams.selector(labels, self.selector)
            for number, labels in streams.all().items()
        }
        start, end = self.day.start_ns, self.day.end_ns
        return counted_streams(self.api, selectors, start, end, self.parallel)

    def _one_by_one(self, streams: StreamSet, counts: dict[int, int]) -> list[Stretch]:
        """The streams with lines; the longest ones hour by hour."""
        labels = streams.all()
        wanted = {number: rows for number, rows in counts.items() if rows}
        self.alone += len(wanted)
        long = sorted(wanted, key=lambda n: -wanted[n])[:_MOST_IN_HOURS]
        long = [number for number in long if wanted[number] > _MANY_LINES]
        found: list[Stretch] = []
        for number in long:
            found += self._in_hours(streams, labels[number], wanted.pop(number))
        writers = _Writers(self._folder("alone"), _RUN_BYTES // self.parallel)
        with ThreadPoolExecutor(self.parallel, "loki-streams") as pool:
            tasks = [
                pool.submit(self._alone, streams, labels[number], rows, writers)
                for number, rows in wanted.items()
            ]
            try:
                for task in tasks:
                    task.result()
            finally:
                pool.shutdown(cancel_futures=True)
        return [*found, *writers.close()]

    def _in_hours(self, streams: StreamSet, labels: dict[str, str], rows: int) -> list[Stretch]:
        api = self.api.resolving(resolve_one(self.api.streams, labels))
        one = streams.selector(labels, self.selector)
        folder = self._folder("hours")
        reading = Reading(api, one, self.day, folder, self.parallel, self.lines)
        found = reading.stretches()
        read = sum(rows_by_stream(found).values())
        self._note(reading.pages, self._merged(api, one, read, rows))
        return found

    def _alone(
        self, streams: StreamSet, labels: dict[str, str], rows: int, writers: _Writers
    ) -> None:
        api = self.api.resolving(resolve_one(self.api.streams, labels))
        one = streams.selector(labels, self.selector)
        read = taken = 0
        for table in self._tables(api, one, rows):
            writers.mine().add(table)
            read += table.num_rows
            taken += 1
        self._note(taken, self._merged(api, one, read, rows))

    def _tables(self, api: Api, one: Selector, rows: int) -> Iterator[pa.Table]:
        """All rows of a stream by time: in one page if they fit into it."""
        start, end, limit = self.day.start_ns, self.day.end_ns, self.lines.value
        ask: Callable[[int, int, int], Page] = partial(api.page, one)
        if rows < limit:
            try:
                page = ask(start - lead_ns(start), end, limit)
            except (TooMany, TooWide):
                pass
            else:
                if not page.full:
                    times = page.rows["ts_ns"].to_numpy()
                    yield page.rows.filter(pa.array(times >= start))
                    return
        yield from pages(ask, Crowd(api, one).at, start, end, self.lines)

    def _merged(self, api: Api, one: Selector, read: int, counted: int) -> int:
        """How many lines the pipeline made equal to others: 0 unless that explains it all.

        Asks for the same lines with the texts that they had before the pipeline, none of
        which is kept: as many as are counted.
        """
        if read >= counted or one.filters_only:
            return 0
        originals = sum(table.num_rows for table in self._tables(api, one.originals(), counted))
        return counted - read if originals == counted else 0

    def _note(self, pages: int, merged: int) -> None:
        with self._lock:
            self.pages += pages
            self.merged += merged

    def _folder(self, name: str) -> Path:
        for number in numbers():
            folder = self.scratch / f"{name}-{number}"
            if not folder.exists():
                folder.mkdir()
                return folder
        raise AssertionError("unreachable")


class _Writers:
    """One file a thread: a stream's tables, in their order, are all in one of them."""

    def __init__(self, folder: Path, run_bytes: int) -> None:
        self._folder = folder
        self._run_bytes = run_bytes
        self._all: list[RunWriter] = []
        self._own = local()
        self._lock = Lock()

    def mine(self) -> RunWriter:
        """This thread's."""
        writer: RunWriter | None = getattr(self._own, "writer", None)
        if writer is None:
            with self._lock:
                path = self._folder / f"{len(self._all)}.arrow"
                writer = self._own.writer = RunWriter(path, self._run_bytes)
                self._all.append(writer)
        return writer

    def close(self) -> list[Stretch]:
        """What was written."""
        return [writer.close() for writer in self._all]


def rows_by_stream(stretches: Iterable[Stretch]) -> dict[int, int]:
    """Stream id → rows."""
    slices = [stretch.slices[["stream", "rows"]] for stretch in stretches]
    if not slices:
        return {}
    both = np.concatenate(slices)
    streams, where = np.unique(both["stream"], return_inverse=True)
    rows = np.zeros(len(streams), np.int64)
    np.add.at(rows, where, both["rows"])
    return dict(zip(streams.tolist(), rows.tolist(), strict=True))
