"""Lines that Loki counts and that no log query returns: found, and read by metric queries.

Belongs here: comparing the rows with Loki's count, reading lines by metric queries.
Does not: the partition's own count, or paging.

Loki 2.8 to 3.7 leave out the last lines of a chunk where they sit exactly at the start of a part
into which its frontend splits queries (`split`): every full hour, unless configured otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import Incomplete
from lake.systems.loki.reading.answer import ROWS
from lake.systems.loki.reading.api import Api, TooMany, TooWide
from lake.systems.loki.reading.counting import counted, counted_day
from lake.systems.loki.reading.logql import ERROR_LABELS, LINE_LABEL, NS_LABEL, Selector
from lake.systems.loki.reading.narrowing import DEEPEST, halves
from lake.systems.loki.reading.originals import merged_rows_of_day
from lake.systems.loki.reading.oversized_instant import streams_around
from lake.systems.loki.reading.paging import HOUR, MS, SECOND
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.spool import Spool, keys_of

# One query for each; for more cuts, or few rows, one query over the whole day is cheaper: for
# Loki 3.7.6, of 24 cuts, half the time with 100,000 rows and two thirds with 400,000.
_FEW_CUTS = 48
_FEW_ROWS = 500_000
_MOST_STEPS = 10_000  # of one query; Prometheus and Loki allow 11,000
_SAMPLE = 10  # metrics
_CONTROLS = 5  # instants at which log and metric queries are compared
_MOST_INSTANTS = 20  # more gaps have another cause, such as late lines
_ROUNDS = 3  # of looking for lines that are lost

Between = Callable[[int, int], int]
"""start_ns, end_ns → a number of lines in [start, end)."""
Metrics = list[tuple[dict[str, str], float]]
"""Labels, and how many times."""


class MissingLines:
    """Finds the lines that a day's spool lacks. `split`: where the server splits its queries.

    `alone`: the labels of the only stream that the selector matches, where it is one: `/series`
    of Loki 2.8 and 2.9 may not list it for a quarter of an hour.
    The spool has its rows as the rules leave them, and so are those that are found.
    """

    def __init__(
        self,
        api: Api,
        selector: Selector,
        day: Day,
        spool: Spool,
        split: Split,
        parallel: int = 1,
        ruled: RuledRows | None = None,
        *,
        alone: dict[str, str] | None = None,
    ) -> None:
        self._api = api
        self._alone = alone
        self._selector = selector
        self._day = day
        self._spool = spool
        self._split = split
        self._parallel = parallel
        self._ruled = ruled
        self._checked = selector.filters_only
        dialect = api.dialect
        old = dialect.by_stream and not dialect.version.knows_metadata
        # Of equal lines in several chunks the two kinds of queries may return different ones.
        self._same = _key_of_line if dialect.version.merges_metadata else _key
        self._no_metadata: list[Any] | None = None if old else []
        self.merged = 0
        """Lines that are counted and that the pipeline makes equal to others in the answer."""

    def rows(self) -> pa.Table:
        """The missing rows, by time."""
        start, end = self._day.start_ns, self._day.end_ns
        counted_rows = counted_day(
            self._api, self._selector, self._day, self._parallel, lambda: self._split
        )
        read_rows = self._spool.count(start, end)
        tables: dict[int, pa.Table] = {}
        if counted_rows:
            tables = {at: self._lacking(at) for at in self._short_cuts()}
        short = counted_rows - read_rows - _rows(tables)
        if short > 0 and self._selector.filters_only:
            for at in islice(self._gaps(), _MOST_INSTANTS):
                if at not in tables:
                    tables[at] = self._lacking(at)
        elif short > 0:
            self.merged = self._explained(tables, counted_rows - read_rows)
        return pa.concat_tables([ROWS.empty_table(), *tables.values()]).sort_by("ts_ns")

    def _gaps(self) -> Iterator[int]:
        start, end = self._day.start_ns, self._day.end_ns
        return short_milliseconds(self._counted, self._spool.count, start, end)

    def _explained(self, tables: dict[int, pa.Table], short: int) -> int:
        """How many of `short` lines the pipeline merges, once the others are in `found`.

        0 where that does not explain all of them. Raises Incomplete where lines are lost.
        """
        for _ in range(_ROUNDS):
            rest = short - _rows(tables)
            merged, lost = self._merged_and_lost(tables)
            if rest <= merged and not len(lost):
                return max(rest, 0)
            times = {int(ts) // MS * MS for ts in lost["ts_ns"]} or self._gaps()
            new = list(islice((at for at in times if at not in tables), _MOST_INSTANTS + 1))
            if not new or len(new) > _MOST_INSTANTS:
                break
            tables |= {at: self._lacking(at) for at in new}
        raise Incomplete(
            "Loki counts more lines than it returns, and the pipeline does not explain all of them",
            where=f"{self._selector} {self._day}",
            expected=f"{short} more lines than the log queries return",
            found=f"{_rows(tables)} by metric queries, at most {merged} that the pipeline makes "
            f"equal to others, {len(lost)} instants without a row",
            remedy="run the export again; if that does not help, keep only line filters in "
            "`selector` and use the other stages in queries of the lake",
        )

    def _merged_and_lost(self, tables: Mapping[int, pa.Table]) -> tuple[int, np.ndarray]:
        """The most lines that the pipeline merges, and the keys of those without any row.

        At the cuts, where answers lack lines, they are counted by metrics.
        """
        cuts = list(self._cuts())
        if len(cuts) > _FEW_CUTS:
            cuts = []
        more = keys_of(pa.concat_tables([ROWS.empty_table(), *tables.values()]))

        def present(start_ns: int, end_ns: int) -> np.ndarray:
            inside = (more["ts_ns"] >= start_ns) & (more["ts_ns"] < end_ns)
            keys = np.concatenate([self._spool.keys(start_ns, end_ns), more[inside]])
            return keys[~np.isin(keys["ts_ns"], cuts)]

        merged, lost = merged_rows_of_day(
            self._api, self._selector, self._day, self._parallel, present, cuts
        )
        return merged + sum(self._alike_at(at) for at in cuts), lost

    def _alike_at(self, ts_ns: int) -> int:
        keys = [_key(row) for row in self._all_of(ts_ns) if row["ts_ns"] == ts_ns]
        return len(keys) - len(set(keys))

    def _counted(self, start_ns: int, end_ns: int) -> int:
        return counted(self._api, self._selector, start_ns, end_ns)

    def _short_cuts(self) -> Iterator[int]:
        """The cuts at which lines are missing, or may be.

        A sum counts lines that differ only in metadata once, so it is not compared with the
        rows; it shows only at which of many cuts there are lines at all.
        """
        cuts = self._cuts()
        with ThreadPoolExecutor(self._parallel, "loki-cuts") as pool:
            counts = pool.map(self._distinct_lines, cuts)
            for at, count in zip(cuts, counts, strict=True):
                if count is None or count > self._spool.count(at - MS + 1, at + 1):
                    yield at

    def _distinct_lines(self, at_ns: int) -> float | None:
        """Lines in the millisecond that ends with `at_ns`; None for more than one query counts.

        Up to 3.2 an instant query leaves out the lines at its time.
        """
        dialect = self._api.dialect
        query = self._selector.distinct_lines(drops=dialect.drops)
        end_ns = at_ns + (dialect.by_stream is True or dialect.version.splits_counts)
        try:
            return sum(value for _, value in self._api.vector(query, end_ns, smallest=True))
        except TooMany:
            return None

    def _cuts(self) -> Sequence[int]:
        """Where lines may be missing; of many, or where it is cheap, those with lines."""
        cuts: Sequence[int] = self._split.times(self._day.start_ns, self._day.end_ns)
        few_rows = self._spool.count(self._day.start_ns, self._day.end_ns) <= _FEW_ROWS
        if len(cuts) > _FEW_CUTS or (cuts and few_rows):
            cuts = self._with_lines(cuts)
        return cuts

    def _with_lines(self, cuts: Sequence[int]) -> Sequence[int]:
        """Those with lines in the millisecond that ends with them."""
        try:
            return self._with_lines_of(cuts)
        except TooWide:
            per_hour = max(1, HOUR // (cuts[1] - cuts[0]))
            hours = [cuts[at : at + per_hour] for at in range(0, len(cuts), per_hour)]
            return [at for hour in hours for at in self._with_lines_of(hour)]

    def _with_lines_of(self, cuts: Sequence[int]) -> list[int]:
        query, seconds = self._selector.count(1, drops=self._api.dialect.drops), []
        step_s = (cuts[1] - cuts[0]) // SECOND if len(cuts) > 1 else 1
        # Up to 3.2 the last step leaves out the lines at its time.
        more_ns = step_s * SECOND if self._api.dialect.version.splits_counts else 0
        for first in range(0, len(cuts), _MOST_STEPS):
            part = cuts[first : first + _MOST_STEPS]
            counts = self._api.sum_at_steps(query, part[0], part[-1] + more_ns, step_s)
            times = [second * SECOND for second, count in counts.items() if count]
            seconds += [at for at in times if at <= part[-1]]
        return sorted(seconds)

    def _lacking(self, at_ns: int) -> pa.Table:
        """The rows of the millisecond from `at_ns` on that the spool has not.

        Lines of one stream and time that a pipeline makes equal are one line in Loki's answers.
        """
        here = Counter(map(self._same, self._spool.between(at_ns, at_ns + MS).to_pylist()))
        lacking: dict[Any, list[dict[str, Any]]] = {}
        stored, met = set(), set()
        for plain in self._all_of(at_ns):
            if not self._selector.filters_only:
                if (own := _key(plain)) in met:
                    continue
                met.add(own)
            row = self._as_ruled(plain)
            key = self._same(row)
            stored.add(key)
            if here[key]:
                here[key] -= 1
            else:
                lacking.setdefault(key, []).append(row)
        if lacking and not here.keys() <= stored:
            raise self._unfaithful(at_ns)
        if lacking and not self._checked:
            self._check_faithful()
        rows = [row for key in sorted(lacking) for row in lacking[key]]
        return pa.Table.from_pylist(rows, ROWS)

    def _check_faithful(self) -> None:
        """Compares log and metric queries where both return lines. Raises Incomplete.

        Loki may skip stages of a pipeline in metric queries, and these may mask lines.
        """
        for at_ns in self._spool.some_times(_CONTROLS):
            at_ms = at_ns // MS * MS
            present = set(map(self._same, self._spool.between(at_ms, at_ms + MS).to_pylist()))
            if not present <= {self._same(self._as_ruled(row)) for row in self._all_of(at_ms)}:
                raise self._unfaithful(at_ms)
        self._checked = True

    def _as_ruled(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._ruled.row(row) if self._ruled else row

    def _unfaithful(self, at_ns: int) -> Incomplete:
        return Incomplete(
            "log queries do not return all lines, and metric queries return them with other texts",
            where=f"{self._selector}, the ms from {at_ns} ns",
            expected="the same lines by log and metric queries",
            found="different lines",
            remedy="keep only line filters in `selector`; use the other stages, such as parsers, "
            "line_format and keep, in queries of the lake instead",
        )

    def _all_of(self, at_ns: int) -> Iterator[dict[str, object]]:
        """The lines of the millisecond from `at_ns` on, by a metric query.

        A metric mixes labels and metadata, so there is a query for each stream.
        """
        for labels, metrics in self._by_stream(at_ns):
            for metric, times in metrics:
                for own, name in ERROR_LABELS.items():
                    if error := metric.pop(own, ""):  # before 3.0 empty where there is none
                        metric[name] = error
                kept = {n: value for n, value in labels.items() if metric.get(n) == value}
                ts_ns, line = int(metric.pop(NS_LABEL)), metric.pop(LINE_LABEL, "")
                if not at_ns <= ts_ns < at_ns + MS:
                    continue
                metadata = sorted(item for item in metric.items() if item[0] not in kept)
                row = {
                    "stream_id": self._api.streams.id_of(kept),
                    "ts_ns": ts_ns,
                    "line": line,
                    "metadata": metadata or self._no_metadata,
                }
                yield from [row] * int(times)

    def _as_labels(self, selector: Selector) -> Selector:
        return selector.lines_as_labels(drops=self._api.dialect.drops)

    def _by_stream(self, at_ns: int) -> Iterator[tuple[dict[str, str], Metrics]]:
        if self._alone is not None:
            lines = self._as_labels(self._selector)
            yield self._alone, self._metrics(lines, self._alone, at_ns)
            return
        series = streams_around(self._api, self._selector, at_ns)
        for labels in self._concerned(series, at_ns):
            stream = self._selector.of_stream(labels, series)
            yield labels, self._metrics(self._as_labels(stream), labels, at_ns)

    def _metrics(
        self, lines: Selector, labels: dict[str, str], at_ns: int, depth: int = 0
    ) -> Metrics:
        """Each line as a metric; by halves of halves where there are too many for one answer."""
        try:
            return self._each_line(lines, at_ns)
        except TooMany as error:
            sample = self._some_lines(lines, at_ns)
            apart = [
                {name: value for name, value in metric.items() if name not in labels}
                for metric, _ in sample
            ]
            parts = halves(lines, apart)
            if parts is None or depth > DEEPEST:
                raise Incomplete(
                    "log queries lack more lines of one stream than a metric query returns, and "
                    "the lines differ in nothing that a query can select",
                    where=f"{lines}, the ms from {at_ns} ns",
                    found=error.parts.get("found"),
                    remedy="raise max_query_series in Loki's limits_config, or for this tenant",
                ) from None
        return [row for part in parts for row in self._metrics(part, labels, at_ns, depth + 1)]

    def _each_line(self, lines: Selector, at_ns: int) -> Metrics:
        """Those of the millisecond from `at_ns` on, perhaps of the one before, too."""
        milliseconds, end_ns = self._reaching(at_ns)
        return self._api.vector(lines.each_line(milliseconds), end_ns, smallest=True)

    def _some_lines(self, lines: Selector, at_ns: int) -> Metrics:
        """Some of `_each_line`."""
        milliseconds, end_ns = self._reaching(at_ns)
        return self._api.vector(lines.some_lines(_SAMPLE, milliseconds), end_ns, smallest=True)

    def _reaching(self, at_ns: int) -> tuple[int, int]:
        """A range in ms, and its end, that has all of the millisecond from `at_ns` on."""
        if self._api.dialect.version.splits_counts:  # where a range is open at both ends
            return 2, at_ns + MS
        return 1, at_ns + MS - 1

    def _concerned(self, series: list[dict[str, str]], at_ns: int) -> list[dict[str, str]]:
        """The streams that may have lines in that millisecond."""
        if self._selector.pipeline:  # which may rename labels
            return series
        try:
            vector = self._each_line(self._as_labels(self._selector), at_ns)
        except TooMany:  # over 500 different lines
            return series
        return [
            labels
            for labels in series
            if any(labels.items() <= metric.items() for metric, _ in vector)
        ]


def _rows(tables: dict[int, pa.Table]) -> int:
    return sum(rows.num_rows for rows in tables.values())


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


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["stream_id"], row["ts_ns"], row["line"], tuple(row["metadata"] or ())


def _key_of_line(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["stream_id"], row["ts_ns"], row["line"]
