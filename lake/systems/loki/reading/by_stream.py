"""A day of a Loki before 3.0: exact for each stream, though a query of several streams is not.

Belongs here: which streams are read together and which alone, and how that is proven.
Does not: paging, LogQL, counting.

Loki before 2.6 merges equal lines of different streams at one time, in log queries and in
counts alike. A query of one stream is exact. So each stream is counted separately, many in one
request; the day is read for all streams together, and streams with too few lines are read
again, one by one. What such a read lacks at the cuts of Loki's frontend, as from 2.8 on, comes from
metric queries (missing). Lines that a pipeline makes equal are one line in Loki's answer, while a
count includes each of them: see `_whole`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count as numbers
from pathlib import Path
from threading import Lock, local

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import Incomplete, Refused
from lake.systems.loki.reading.api import Api, Page, TooMany, TooWide
from lake.systems.loki.reading.counting import counted_streams
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.missing import MissingLines
from lake.systems.loki.reading.originals import merged_rows
from lake.systems.loki.reading.oversized_instant import OversizedInstant
from lake.systems.loki.reading.paging import Bound, lead_ns, pages
from lake.systems.loki.reading.reading import Reading
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.spool import KEYS, RunWriter, Spool, Stretch, keys_of
from lake.systems.loki.reading.stream_set import StreamSet, resolve_one
from lake.systems.loki.reading.unlisted import all_streams

_LOG = logging.getLogger(__name__)
_ROUNDS = 3  # of reading streams that appear during the read
_RUN_BYTES = 12 << 20  # held in memory by all threads together
_MANY_LINES = 100_000  # of a stream; its hours are read in parallel
_MOST_IN_HOURS = 8  # streams; each of them has 25 files open in the end


@dataclass
class ByStream:
    """Reads one selector. `lines` bounds the pages, as in Reading; rows are kept as `ruled`
    leaves them.
    """

    api: Api
    selector: Selector
    day: Day
    scratch: Path
    parallel: int
    lines: Bound
    split: Split
    ruled: RuledRows | None = None
    pages: int = 0
    merged: int = 0
    """Lines that are in the counts and, made equal by the pipeline, not in Loki's answers."""
    alone: int = 0
    """Streams that were read one by one."""
    recovered: int = 0
    """Lines that only metric queries return."""
    _unknown: int = 0  # rows that name no listed stream
    _lock: Lock = field(default_factory=Lock, repr=False)

    def stretches(self) -> list[Stretch]:
        """All lines of each stream, streams that appear during the read included.

        Raises Incomplete where they stay below its count, or new streams go on to appear.
        """
        streams = self._listed()
        read = self._read(streams)
        for _ in range(_ROUNDS):
            touched = streams.add_all(self._listed(), metadata=self._may_have_metadata)
            if not touched:
                if self._unknown:
                    raise self._no_stream()
                return read
            self._unknown = 0  # rows of streams that are now known, or fewer than the count
            _LOG.info("loki: new streams during the read; %s streams are read again", len(touched))
            counts = self._counted(streams, touched)
            kept = [stretch.without(touched) for stretch in read]
            read = [*kept, *self._one_by_one(streams, counts)]
        raise Incomplete(
            "new streams appear faster than they are read",
            where=f"{self.selector} {self.day}",
            expected="no new stream in the answer of /loki/api/v1/series after a read",
            found=f"new streams after each of {_ROUNDS} further reads",
            remedy="export the day again when it is over and its late lines have arrived",
        )

    def _listed(self) -> StreamSet:
        start, end = self.day.start_ns, self.day.end_ns
        return all_streams(self.api, self.selector, start, end, self.split)

    def _read(self, streams: StreamSet) -> list[Stretch]:
        """All lines of these streams."""
        if not self._readable_together:
            self._try(streams)
            return self._one_by_one(streams, self._counted(streams))
        together = self._together(streams)
        read = rows_by_stream(together)
        counts = self._counted(streams)
        unclear = streams.ambiguous() if self._may_have_metadata else set()
        unknown = read.keys() - streams.all().keys()
        unclear |= unknown
        self._unknown = sum(read[number] for number in unknown)
        again = {
            number: rows
            for number, rows in counts.items()
            if number in unclear or read.get(number, 0) < rows
        }
        kept = [stretch.without(unclear | again.keys()) for stretch in together]
        return [*kept, *self._one_by_one(streams, again)]

    @property
    def _readable_together(self) -> bool:
        """Whether an answer for all streams has labels that name them, and may have all lines."""
        keeps = self.selector.keeps_labels and not self.api.dialect.version.merges_streams
        return self.selector.filters_only or keeps

    def _try(self, streams: StreamSet) -> None:
        """Raises Refused for anything that is not a selector, even on a day without streams."""
        api = self.api.resolving(streams.resolve)
        api.page(self.selector, self.day.start_ns, self.day.end_ns, 1)

    @property
    def _may_have_metadata(self) -> bool:
        """Whether lines may have more labels than their streams: a parser's, too."""
        version = self.api.dialect.version
        more = version.numbers is None or version.knows_metadata
        return more or not self.selector.filters_only

    def _together(self, streams: StreamSet) -> list[Stretch]:
        """The day for all streams at once.

        Streams that its rows show are added to the set, where labels are theirs alone.
        """
        folder = self._folder("together")
        api = self.api.resolving(streams.resolve)
        reading = Reading(
            api, self.selector, self.day, folder, self.parallel, self.lines, self.ruled
        )
        stretches = reading.stretches()
        self.pages += reading.pages
        if self._may_have_metadata:
            return stretches
        known, labels = streams.all(), self.api.streams.labels()
        for number in rows_by_stream(stretches).keys() - known.keys():
            streams.add(labels[number])
        return stretches

    def _counted(self, streams: StreamSet, wanted: Collection[int] | None = None) -> dict[int, int]:
        """Id → lines of the day, as Loki counts each stream; of all, or of those wanted."""
        start, end = self.day.start_ns, self.day.end_ns
        return counted_streams(
            self.api, streams, self.selector, start, end, self.parallel, wanted, self.split
        )

    def _one_by_one(self, streams: StreamSet, counts: dict[int, int]) -> list[Stretch]:
        """The streams with lines; the longest ones hour by hour."""
        labels = streams.all()
        wanted = {number: rows for number, rows in counts.items() if rows}
        self.alone += len(wanted)
        stretches, short = self._read_alone(streams, wanted)
        if not short:
            return stretches
        again, still = self._read_alone(streams, {number: wanted[number] for number in short})
        lost = [
            self._recovered(streams, labels[number], number, again, wanted[number], rows)
            for number, rows in still.items()
        ]
        kept = [stretch.without(short.keys()) for stretch in stretches]
        # First, for such a line is the last of its chunk.
        return [*(stretch for part in lost for stretch in part), *kept, *again]

    def _recovered(
        self,
        streams: StreamSet,
        labels: dict[str, str],
        number: int,
        read: list[Stretch],
        counted: int,
        rows: int,
    ) -> list[Stretch]:
        """The lines of one stream that are counted and not among its `rows`. Raises Incomplete."""
        selector = streams.selector(labels, self.selector)
        others = rows_by_stream(read).keys() - {number}
        spool = Spool([stretch.without(others) for stretch in read])
        if spool.count(self.day.start_ns, self.day.end_ns) != rows:  # others name another stream
            raise self._incomplete(selector, counted, f"{rows} lines, in two reads")
        api = self.api.resolving(resolve_one(self.api.streams, labels))
        recovery = MissingLines(
            api, selector, self.day, spool, self.split, self.parallel, self.ruled, alone=labels
        )
        try:
            lost = recovery.rows()
        except (Refused, TooMany, TooWide) as error:  # LogQL up to 2.6 has no line as a label
            raise self._incomplete(selector, counted, f"{rows} lines, in two reads") from error
        if rows + lost.num_rows + recovery.merged < counted:
            lines = f"{rows} lines, in two reads, and {lost.num_rows} by metric queries"
            raise self._incomplete(selector, counted, lines)
        self.recovered += lost.num_rows
        self.merged += recovery.merged
        if not lost.num_rows:
            return []
        late = RunWriter(self._folder("recovered") / "rows.arrow")  # the rules have been applied
        late.add(lost)
        return [late.close()]

    def _no_stream(self) -> Incomplete:
        return Incomplete(
            "queries return lines of streams that Loki does not list",
            where=f"{self.selector} {self.day}",
            expected="each line's stream in the answer of /loki/api/v1/series, or in a count by "
            "the names of /loki/api/v1/labels",
            found=f"{self._unknown} lines of other streams",
            remedy="run the export again some hours after the end of the day",
        )

    def _incomplete(self, selector: Selector, counted: int, lines: str) -> Incomplete:
        return Incomplete(
            "a stream has more lines by Loki's count than Loki's log queries return",
            where=f"{selector} {self.day}",
            expected=f"{counted} lines",
            found=lines,
            remedy="run the export again; if that does not help, keep only line filters in "
            "`selector`",
        )

    def _read_alone(
        self, streams: StreamSet, counts: Mapping[int, int]
    ) -> tuple[list[Stretch], dict[int, int]]:
        """What is read of each stream, and how many rows of those with too few."""
        labels, wanted = streams.all(), dict(counts)
        short: dict[int, int] = {}
        long = sorted(wanted, key=lambda n: -wanted[n])[:_MOST_IN_HOURS]
        long = [number for number in long if wanted[number] > _MANY_LINES]
        all_stretches: list[Stretch] = []
        for number in long:
            stretches, missing = self._in_hours(streams, labels[number], wanted.pop(number))
            all_stretches += stretches
            short |= {} if missing is None else {number: missing}
        writers = _Writers(self._folder("alone"), _RUN_BYTES // self.parallel, self.ruled)
        with ThreadPoolExecutor(self.parallel, "loki-streams") as pool:
            tasks = {
                number: pool.submit(self._alone, streams, labels[number], rows, writers)
                for number, rows in wanted.items()
            }
            try:
                for number, task in tasks.items():
                    missing = task.result()
                    short |= {} if missing is None else {number: missing}
            finally:
                pool.shutdown(cancel_futures=True)
        return [*all_stretches, *writers.close()], short

    def _in_hours(
        self, streams: StreamSet, labels: dict[str, str], rows: int
    ) -> tuple[list[Stretch], int | None]:
        """The rows of one stream, and their number if there are too few."""
        api = self.api.resolving(resolve_one(self.api.streams, labels))
        selector = streams.selector(labels, self.selector)
        folder = self._folder("hours")
        reading = Reading(api, selector, self.day, folder, self.parallel, self.lines, self.ruled)
        stretches = reading.stretches()
        keys = Spool(stretches).keys(self.day.start_ns, self.day.end_ns)
        whole = self._whole(api, selector, keys, rows, reading.pages)
        return stretches, None if whole else len(keys)

    def _alone(
        self, streams: StreamSet, labels: dict[str, str], rows: int, writers: _Writers
    ) -> int | None:
        """Writes the rows of one stream; returns their number if there are too few."""
        api = self.api.resolving(resolve_one(self.api.streams, labels))
        selector = streams.selector(labels, self.selector)
        keys = [np.empty(0, KEYS)]
        for table in self._tables(api, selector, rows):
            writers.mine().add(table)
            keys.append(keys_of(table))
        read = np.concatenate(keys)
        return None if self._whole(api, selector, read, rows, len(keys) - 1) else len(read)

    def _tables(self, api: Api, selector: Selector, rows: int) -> Iterator[pa.Table]:
        """All rows of a stream by time: in one page if they fit into it."""
        start, end, limit = self.day.start_ns, self.day.end_ns, self.lines.value
        ask: Callable[[int, int, int], Page] = partial(api.page, selector)
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
        yield from pages(ask, OversizedInstant(api, selector).at, start, end, self.lines)

    def _whole(
        self, api: Api, selector: Selector, read: np.ndarray, counted: int, pages: int
    ) -> bool:
        """Whether the rows with these KEYS, and those that the pipeline merges, are all.

        Requests the same lines with the texts that they had before the pipeline, none of
        which is kept. Each of their times has to have a row.
        """
        short = max(0, counted - len(read))
        whole = not short
        if short and not selector.filters_only:
            tables = self._tables(api, selector.originals(), counted)
            originals = np.concatenate([np.empty(0, KEYS), *map(keys_of, tables)])
            originals["stream"] = 0  # a pipeline may change labels
            here = read.copy()
            here["stream"] = 0
            most, lost = merged_rows(originals, here)
            whole = short <= most and not len(lost)
        with self._lock:
            self.pages += pages
            self.merged += short if whole else 0
        return whole

    def _folder(self, name: str) -> Path:
        for number in numbers():
            folder = self.scratch / f"{name}-{number}"
            if not folder.exists():
                folder.mkdir()
                return folder
        raise AssertionError("unreachable")


class _Writers:
    """One file per thread: a stream's tables, in their order, are all in one of them."""

    def __init__(self, folder: Path, run_bytes: int, ruled: RuledRows | None) -> None:
        self._folder = folder
        self._run_bytes = run_bytes
        self._ruled = ruled
        self._all: list[RunWriter] = []
        self._own = local()
        self._lock = Lock()

    def mine(self) -> RunWriter:
        """This thread's."""
        writer: RunWriter | None = getattr(self._own, "writer", None)
        if writer is None:
            with self._lock:
                path = self._folder / f"{len(self._all)}.arrow"
                writer = self._own.writer = RunWriter(path, self._run_bytes, self._ruled)
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
