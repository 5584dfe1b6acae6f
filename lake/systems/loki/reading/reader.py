"""Loki as a source: the order of the steps.

Belongs here: which stretches of a day are read in parallel, what is checked afterwards.
Does not: paging, LogQL, the table's columns.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.config.datasets import Dataset
from lake.http.client import Http
from lake.partition.table import TableStream
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading.answer import Mixed
from lake.systems.loki.reading.api import Api
from lake.systems.loki.reading.by_stream import ByStream
from lake.systems.loki.reading.config import LokiConfig, milliseconds
from lake.systems.loki.reading.counting import counted, counted_day, counted_streams
from lake.systems.loki.reading.cover import cover
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.missing import MissingLines
from lake.systems.loki.reading.paging import MS, Bound
from lake.systems.loki.reading.reading import Reading, page_lines
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.spool import RunWriter, Spool, Stretch
from lake.systems.loki.reading.stream_set import StreamSet, streams_between
from lake.systems.loki.reading.table import partition
from lake.systems.loki.reading.unlisted import all_streams
from lake.systems.loki.reading.version import Dialect, reported_version
from lake.systems.source import MERGED_LINES, Count

_LOG = logging.getLogger(__name__)
_EQUAL_LINES = "returned once for each stream and instant, whatever their metadata"
_EMPTY_LINES = "not returned where a chunk begins with them"
# Finds no stream, and goes through the same queue as every query. Loki 2.4 to 2.8 answer `1` with
# status 500, versions up to 2.6 do not know `vector(1)`.
PROBE = ("/loki/api/v1/query", {"query": 'count_over_time({monitoring_lake="probe"} [1s])'})


class LokiReader:
    """Reads `[sources.loki]`; see `Source`."""

    # The same (ts, line) with other metadata in another chunk is two lines, and counts once.
    may_count_low = True

    def __init__(self, section: LokiSource) -> None:
        self.lateness_days = section.lateness_days
        self._tenant = section.tenant
        self._http = Http(section, "loki", probe=PROBE)
        self._limit = Limit()
        self._lines: dict[str, Bound] = {}
        self._config: LokiConfig | None = None
        self._dialect: Dialect | None = None
        self._lock = Lock()

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """Columns: ts, ts_ns, stream_id, line, labels of lower case by name, labels, metadata.

        Sorted by stream_id and ts_ns; lines of one ns keep the order of Loki's answer.
        Raises Incomplete where Loki's max_query_lookback excludes a part of this day.
        """
        selector, rules = _selector(dataset), dataset.rules()
        ruled = RuledRows(rules) if rules else None
        api = self._api()
        details = self._reach(api, day) | {"split_interval": self._split_of(api).summary}
        parts = [self._part(api, part, day, scratch, ruled) for part in _parts(api, selector, day)]
        streams = api.streams.labels()
        renamed: dict[int, int] = {}
        if ruled:
            streams, renamed = ruled.streams(streams)
        spool = Spool([stretch for part in parts for stretch in part.stretches], renamed)
        details |= {
            "server_version": str(api.dialect.version),
            "selectors": len(parts),
            "pages": sum(part.pages for part in parts),
            "recovered_lines": sum(part.recovered for part in parts),
            MERGED_LINES: sum(part.merged for part in parts),
            "streams": len(streams),
            "limit": self._limit.usual,
            "requests": api.tally.requests,
            "retries": api.tally.retries,
        }
        if api.dialect.by_stream:
            details["streams_read_alone"] = sum(part.alone for part in parts)
            if not api.dialect.version.knows_metadata:
                details["structured_metadata"] = "not supported by this version"
        version = api.dialect.version
        if (leaves_out := version.leaves_out_empty_lines) is not False:
            details["empty_lines"] = _EMPTY_LINES if leaves_out else f"{_EMPTY_LINES} (2.4 to 3.2)"
        if (merges := version.merges_metadata) is not False:
            details["equal_lines"] = _EQUAL_LINES if merges else f"{_EQUAL_LINES} (before 3.7)"
        details |= rules.details()
        table = partition(spool.sorted_batches(), streams, details)
        yield replace(table, rules=rules.to_json())

    def _part(
        self, api: Api, selector: Selector, day: Day, scratch: Path, ruled: RuledRows | None
    ) -> _Part:
        """The lines of one selector, those that log queries leave out included."""
        if not api.dialect.by_stream:
            try:
                return self._together(api, selector, day, scratch, ruled)
            except Mixed:
                _LOG.info("loki: answers mix labels and metadata; the day is read stream by stream")
        return self._by_stream(api, selector, day, scratch, ruled)

    def _together(
        self, api: Api, selector: Selector, day: Day, scratch: Path, ruled: RuledRows | None
    ) -> _Part:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        lines = self._lines.setdefault(str(selector), page_lines())
        reading = Reading(api, selector, day, folder, self._http.max_parallel, lines, ruled)
        part = _Part(reading.stretches(), reading.pages)
        return self._completed(api, selector, day, folder, part, ruled)

    def _by_stream(
        self, api: Api, selector: Selector, day: Day, scratch: Path, ruled: RuledRows | None
    ) -> _Part:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        lines = self._lines.setdefault(str(selector), page_lines())
        split, parallel = self._split_of(api), self._http.max_parallel
        reading = ByStream(api, selector, day, folder, parallel, lines, split, ruled)
        stretches = reading.stretches()
        return _Part(
            stretches, reading.pages, reading.recovered, reading.merged, alone=reading.alone
        )

    def _completed(
        self,
        api: Api,
        selector: Selector,
        day: Day,
        folder: Path,
        part: _Part,
        ruled: RuledRows | None,
    ) -> _Part:
        """With the lines that Loki counts and that no log query returns."""
        split, parallel = self._split_of(api), self._http.max_parallel
        recovery = MissingLines(api, selector, day, Spool(part.stretches), split, parallel, ruled)
        lost = recovery.rows()
        stretches = part.stretches
        if lost.num_rows:
            late = RunWriter(folder / "recovered.arrow")  # the rules have been applied
            late.add(lost)
            # First, for such a line is the last of its chunk.
            stretches = [late.close(), *stretches]
        return replace(part, stretches=stretches, recovered=lost.num_rows, merged=recovery.merged)

    def count(self, dataset: Dataset, day: Day) -> Count:
        """By a metric query over the day, or over parts of it where the day is too large.

        Stream by stream where a Loki before 3.0 may merge lines of several.
        """
        selector = _selector(dataset)
        api = self._api()
        parts = list(_parts(api, selector, day))
        method = selector.count(day.end_ms - day.start_ms)
        if self._counts_by_stream(api, parts, day):
            counts = [self._count_streams(api, part, day) for part in parts]
            method += f", separately for each of {sum(map(len, counts))} streams"
            lines = sum(sum(rows.values()) for rows in counts)
            if not api.dialect.version.merges_streams:
                # Where streams are not listed, and more than one answer holds.
                together = (counted(api, part, day.start_ns, day.end_ns) for part in parts)
                lines = max(lines, sum(together))
            return Count(lines, method)
        parallel, split = self._http.max_parallel, partial(self._split_of, api)
        rows = [counted_day(api, part, day, parallel, split) for part in parts]
        if selector.everything:
            method += f"; {{}} as {len(rows)} selectors that together match each stream once"
        return Count(sum(rows), method)

    def _counts_by_stream(self, api: Api, parts: list[Selector], day: Day) -> bool:
        """Where the server reports no version, the format of its answers decides."""
        for part in parts:
            if api.dialect.by_stream is not None:
                break
            with suppress(Mixed):
                api.page(part, day.start_ns, day.end_ns, 1)
        return api.dialect.by_stream is not False

    def _count_streams(self, api: Api, selector: Selector, day: Day) -> dict[int, int]:
        parallel, split = self._http.max_parallel, self._split_of(api)
        streams = all_streams(api, selector, day.start_ns, day.end_ns, split)
        return counted_streams(
            api, streams, selector, day.start_ns, day.end_ns, parallel, split=split
        )

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """Streams that `/series` lists for a day of which queries return no line at all.

        Lines are listed before they are returned: those of past days until they are flushed and
        the index is read again. 0 where there is any line, whatever the pipeline leaves of it.

        A stream is also listed where the day before or after has its line, and a chunk's time,
        rounded to milliseconds, touches the day: such streams are left out.
        """
        api, uncounted = self._api(), 0
        for part in _parts(api, replace(_selector(dataset), pipeline=""), day):
            if counted(api, part, day.start_ns, day.end_ns):
                return 0
            listed = streams_between(api, part, day.start_ns, day.end_ns)
            inside = streams_between(api, part, day.start_ns + MS, day.end_ns - MS).all()
            edge = listed.all().keys() - inside.keys()
            if edge and any(self._lines_of(api, listed, part, edge, day.end_ns - MS).values()):
                return 0  # a count by all streams may leave out the last ns
            for start_ns in (day.start_ns - MS, day.end_ns) if edge else ():
                lines = self._lines_of(api, listed, part, edge, start_ns)
                edge = {number for number in edge if not lines[number]}
            uncounted += len(inside) + len(edge)
        return uncounted

    def _lines_of(
        self, api: Api, listed: StreamSet, of: Selector, wanted: Collection[int], start_ns: int
    ) -> dict[int, int]:
        """The lines of each wanted stream in the millisecond from `start_ns` on."""
        parallel = self._http.max_parallel
        return counted_streams(api, listed, of, start_ns, start_ns + MS, parallel, wanted)

    def _api(self) -> Api:
        with self._lock:
            if self._dialect is None:
                dialect = Dialect(reported_version(self._http))
                if not dialect.version.orders_parts:
                    api = Api(self._http, self._limit, dialect)
                    dialect.parts_ns = self._split_of(api).interval_ns
                self._dialect = dialect
        return Api(self._http, self._limit, self._dialect)

    def undated(self, dataset: Dataset) -> int | None:
        """None: every line has a time."""
        return None

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """None: the server deletes old rows itself, and refuses those of future days."""
        return None

    def stop(self) -> None:
        """See Source."""
        self._http.stop()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _config_of(self, api: Api) -> LokiConfig:
        """Read once: it takes a restart, or nearly one, to change it."""
        if self._config is None:
            self._config = api.configuration()
        return self._config

    def _split_of(self, api: Api) -> Split:
        return Split.of(self._config_of(api))

    def _reach(self, api: Api, day: Day) -> dict[str, Any]:
        """Loki's retention and max_query_lookback, as far as it reports them.

        Beyond max_query_lookback its answers and counts lack lines, without an error.
        """
        limits = api.limits(self._tenant)
        known = {
            name: str(
                limits.get(name) or self._config_of(api).limit(name, self._tenant) or "unknown"
            )
            for name in ("max_query_lookback", "retention_period")
        }
        lookback_ms = milliseconds(known["max_query_lookback"]) or 0
        oldest = utc_now() - timedelta(milliseconds=lookback_ms)
        if lookback_ms and day.start < oldest:
            raise Incomplete(
                "Loki's max_query_lookback excludes a part of this day",
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
    recovered: int = 0
    merged: int = 0
    alone: int = 0


def _parts(api: Api, selector: Selector, day: Day) -> Iterator[Selector]:
    """The selector, or for `{}` those that together match each stream once.

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


def _selector(dataset: Dataset) -> Selector:
    if not isinstance(dataset, LokiDataset):
        raise UsageError(
            "not a dataset of Loki", where=dataset.name, found=f"source = {dataset.source!r}"
        )
    return Selector.parse(dataset.selector)
