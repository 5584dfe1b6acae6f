"""Lines that Loki counts and gives to no ordinary query: found and asked for another way.

Belongs here: comparing what was read with Loki's count, and the other way to ask.
Does not: the partition's own count, or paging.

Loki 3.7 leaves out the last line of a chunk where it sits exactly at the start of a part
into which its frontend splits queries: every full hour, unless configured otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import Incomplete
from lake.sources.loki.answer import ROWS
from lake.sources.loki.api import Api, TooMany, TooWide
from lake.sources.loki.counting import counted
from lake.sources.loki.crowd import streams_around
from lake.sources.loki.paging import HOUR, MS
from lake.sources.loki.selector import LINE_LABEL, NS_LABEL, Selector
from lake.sources.loki.spool import Spool

_HOUR_S = 3600
_MOST_INSTANTS = 20  # more gaps than this are not Loki's flaw: late lines, say

Between = Callable[[int, int], int]
"""start_ns, end_ns → a number of lines in [start, end)."""


class Recovery:
    """Finds what a day's spool lacks."""

    def __init__(self, api: Api, selector: Selector, day: Day, spool: Spool) -> None:
        self._api = api
        self._selector = selector
        self._day = day
        self._spool = spool

    def rows(self) -> pa.Table:
        """The missing rows, by time."""
        found = {at: self._lacking(at) for at in self._short_hours()}
        recovered = sum(rows.num_rows for rows in found.values())
        start, end = self._day.start_ns, self._day.end_ns
        missing = self._counted(start, end) - self._spool.count(start, end) - recovered
        if missing > 0:
            gaps = short_milliseconds(self._counted, self._spool.count, start, end)
            for _, at in zip(range(_MOST_INSTANTS), gaps, strict=False):
                if at not in found:
                    found[at] = self._lacking(at)
        return pa.concat_tables([ROWS.empty_table(), *found.values()]).sort_by("ts_ns")

    def _counted(self, start_ns: int, end_ns: int) -> int:
        return counted(self._api, self._selector, start_ns, end_ns)

    def _short_hours(self) -> Iterator[int]:
        """The full hours of the day at which lines are missing."""
        for at, lines in self._counts_at_hours().items():
            ours = self._day.start_ns <= at < self._day.end_ns
            if ours and lines > self._spool.count(at - MS + 1, at + 1):
                yield at

    def _counts_at_hours(self) -> dict[int, int]:
        """Full hour in ns → lines in the millisecond that ends with it."""
        query = self._selector.distinct_lines()
        start, end = self._day.start_ns, self._day.end_ns
        try:
            counts = self._api.sum_at_steps(query, start, end, _HOUR_S)
            return {second * 1000 * MS: count for second, count in counts.items()}
        except TooWide:  # a frontend that does not split: hour by hour, then
            return {
                at: int(sum(value for _, value in self._api.vector(query, at)))
                for at in range(start, end, HOUR)
            }

    def _lacking(self, at_ns: int) -> pa.Table:
        """The rows of the millisecond from `at_ns` on that the spool has not."""
        present = Counter(map(_key, self._spool.between(at_ns, at_ns + MS).to_pylist()))
        lacking = []
        for row in self._all_of(at_ns):
            if present[_key(row)]:
                present[_key(row)] -= 1
            else:
                lacking.append(row)
        return pa.Table.from_pylist(sorted(lacking, key=_key), ROWS)

    def _all_of(self, at_ns: int) -> Iterator[dict[str, object]]:
        """The lines of the millisecond from `at_ns` on, by a metric query.

        A metric does not tell labels from metadata, so each stream is asked by itself.
        """
        series = streams_around(self._api, self._selector, at_ns)
        for labels in self._concerned(series, at_ns):
            for metric, times in self._of_stream(labels, series, at_ns):
                kept = {name: metric[name] for name in labels if name in metric}
                row = {
                    "stream_id": self._api.streams.id_of(kept),
                    "ts_ns": int(metric.pop(NS_LABEL)),
                    "line": metric.pop(LINE_LABEL, ""),
                    "metadata": sorted(item for item in metric.items() if item[0] not in kept),
                }
                yield from [row] * int(times)

    def _of_stream(
        self, labels: dict[str, str], series: list[dict[str, str]], at_ns: int
    ) -> list[tuple[dict[str, str], float]]:
        stream = self._selector.of_stream(labels, series)
        try:
            return self._api.vector(stream.lines_as_labels(), at_ns + MS - 1)
        except TooMany as error:
            raise Incomplete(
                "more lines of one stream are missing than Loki tells in another way",
                where=f"{stream}, the ms from {at_ns} ns",
                found=error.parts.get("found"),
                remedy="raise max_query_series in Loki's limits_config, or for this tenant",
            ) from None

    def _concerned(self, series: list[dict[str, str]], at_ns: int) -> list[dict[str, str]]:
        """The streams that may have lines in that millisecond."""
        if self._selector.pipeline:  # which may rename labels
            return series
        try:
            found = self._api.vector(self._selector.lines_as_labels(), at_ns + MS - 1)
        except TooMany:  # over 500 different lines
            return series
        return [
            labels
            for labels in series
            if any(labels.items() <= metric.items() for metric, _ in found)
        ]


def short_milliseconds(
    expected: Between, present: Between, start_ns: int, end_ns: int
) -> Iterator[int]:
    """The milliseconds of [start, end) in which there are fewer than expected, by halves."""
    if expected(start_ns, end_ns) <= present(start_ns, end_ns):
        return
    if end_ns - start_ns <= MS:
        yield start_ns
        return
    middle = start_ns + (end_ns - start_ns) // MS // 2 * MS
    yield from short_milliseconds(expected, present, start_ns, middle)
    yield from short_milliseconds(expected, present, middle, end_ns)


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return row["stream_id"], row["ts_ns"], row["line"], tuple(row["metadata"])  # type: ignore[arg-type]
