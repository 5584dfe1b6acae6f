"""A Loki in memory, behind the face of `Api`, with the flaws that matter to paging.

Kept from the real one: start <= ts < end, forward, the limit and its cap, the split into
parts, the line left out at a part's start, how a count rounds, filters by line and label.
Not kept: everything else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lake.http.client import RequestTally
from lake.systems.loki.reading.answer import ROWS, Streams
from lake.systems.loki.reading.api import Page, TooMany, TooWide, check_order
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import LINE_LABEL, NS_LABEL, Selector
from lake.systems.loki.reading.version import Dialect

MS = 1_000_000
HOUR = 3600 * 1000 * MS


@dataclass(frozen=True)
class Line:
    stream: int
    chunk: int
    ts_ns: int
    text: str
    metadata: tuple[tuple[str, str], ...] = ()


def labels_of(stream: int) -> dict[str, str]:
    """Stream 1's labels are some of stream 2's, and so on: what an exact selector has to mind."""
    return {"job": "fake"} | {f"extra{n}": "x" for n in range(stream)}


@dataclass
class FakeLoki:
    """`cap` is max_entries_limit_per_query; `split_ns` the frontend's interval.

    `widest_ns` and `longest` are what it manages without failing. `low_count`: a sum counts
    lines that differ only in metadata once. `in_turn`: of a split query's lines the first ones
    are taken from the streams in turn, as before 3.7.
    """

    lines: list[Line]
    cap: int = 5000
    split_ns: int = HOUR  # of no split: longer than the day
    widest_ns: int = 25 * HOUR  # a day and its lead
    longest: int = 1_000_000
    low_count: bool = False
    in_turn: bool = False
    most_series: int = 12
    streams: Streams = field(default_factory=Streams)
    tally: RequestTally = field(default_factory=RequestTally)
    limit: Limit = field(default_factory=Limit)
    dialect: Dialect = field(default_factory=Dialect)

    def __post_init__(self) -> None:
        if self.in_turn:
            self.dialect.parts_ns = self.split_ns
        self.lines = sorted(self.lines, key=lambda line: (line.stream, line.chunk, line.ts_ns))
        self._ends: dict[tuple[int, int], tuple[int, int, int]] = {}
        for line in self.lines:
            first, last, size = self._ends.get((line.stream, line.chunk), (line.ts_ns, 0, 0))
            ends = (min(first, line.ts_ns), max(last, line.ts_ns), size + 1)
            self._ends[line.stream, line.chunk] = ends

    def page(self, selector: Selector, start_ns: int, end_ns: int, limit: int) -> Page:
        assert start_ns < end_ns
        if limit > self.cap:
            self.limit.learn(self.cap)
        if end_ns - start_ns > self.widest_ns:
            raise TooWide("deadline exceeded")
        most = self.limit.within(limit)
        lines: list[Line] = []
        start = start_ns
        while start < end_ns and len(lines) < most:
            end = min(end_ns, start - start % self.split_ns + self.split_ns)
            lines += sorted(self._part(selector, start, end), key=lambda line: line.ts_ns)[:most]
            start = end
        if self.in_turn and len(lines) > most:
            lines = _in_turn(lines)
        if len(lines[:most]) > self.longest:
            raise TooMany("message larger than max")
        page = Page(_table(lines[:most], self.streams), most)
        check_order(page, start_ns, self.dialect.parts_ns)
        return page

    def _part(self, selector: Selector, start_ns: int, end_ns: int) -> list[Line]:
        return [
            line
            for line in self._of(selector)
            if start_ns <= line.ts_ns < end_ns and not self._left_out(line, start_ns)
        ]

    def _left_out(self, line: Line, start_ns: int) -> bool:
        first, last, _ = self._ends[line.stream, line.chunk]
        return last == start_ns and start_ns % MS == 0 and first // MS < last // MS

    def _of(self, selector: Selector) -> list[Line]:
        wanted = dict(re.findall(r'(\w+)="(\w*)"', selector.matchers))
        return [
            line
            for line in self.lines
            if all(labels_of(line.stream).get(name, "") == value for name, value in wanted.items())
            and _passes(line, selector.pipeline)
        ]

    def series(self, selector: Selector, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        assert end_ns - start_ns > MS
        streams = {line.stream for line in self._of(selector) if start_ns <= line.ts_ns < end_ns}
        return [labels_of(stream) for stream in sorted(streams)]

    def vector(
        self, query: str, at_ns: int, *, smallest: bool = False
    ) -> list[tuple[dict[str, str], float]]:
        width = re.search(r"\[(\d+)(ms|h)\]", query)
        assert width is not None
        range_ns = int(width[1]) * (MS if width[2] == "ms" else HOUR)
        if range_ns > self.widest_ns:
            raise TooWide("deadline exceeded")
        pipeline = query[query.index("}") + 1 : query.rindex("[")]
        selector = Selector(query[query.index("{") : query.index("}") + 1], pipeline)
        lines = [line for line in self._of(selector) if at_ns - range_ns < line.ts_ns <= at_ns]
        if query.startswith("sum("):
            if self.low_count:
                lines = list(
                    {(line.stream, line.ts_ns, line.text): line for line in lines}.values()
                )
            return [({}, len(lines))] if lines else []
        metrics = Counter(frozenset(_metric(line).items()) for line in lines)
        if query.startswith("count("):
            return [({}, len(metrics))] if metrics else []
        limit = re.match(r"topk\((\d+)", query)
        shown = list(metrics.items())[: int(limit[1]) if limit else None]
        if len(shown) > self.most_series:
            raise TooMany("maximum of series reached for a single query")
        return [(dict(metric), times) for metric, times in shown]

    def sum_at_steps(self, query: str, start_ns: int, end_ns: int, step_s: int) -> dict[int, int]:
        counts: dict[int, int] = {}
        step = step_s * 1000 * MS
        near = {start_ns - (start_ns - line.ts_ns) // step * step for line in self.lines}
        for at in sorted(at for at in near if start_ns <= at <= end_ns):
            for _, value in self.vector(query, at):
                counts[at // (1000 * MS)] = int(value)
        return counts


def _in_turn(lines: list[Line]) -> list[Line]:
    """The first line of each stream, by time, then the second ones, and so on."""
    turns: Counter[int] = Counter()
    order = []
    for line in lines:
        order.append((turns[line.stream], len(order)))
        turns[line.stream] += 1
    return [lines[at] for _, at in sorted(order)]


def _metric(line: Line) -> dict[str, str]:
    metric = {**labels_of(line.stream), **dict(line.metadata), NS_LABEL: str(line.ts_ns)}
    return metric | ({LINE_LABEL: line.text} if line.text else {})


def _passes(line: Line, pipeline: str) -> bool:
    for name, operator, quoted in re.findall(
        r'(?:\| (\w+) |\|)?(=~|!~|~) ("(?:[^"\\]|\\.)*")', pipeline
    ):
        pattern = re.sub(
            r"\\x\{(\w+)\}", lambda match: f"\\U{int(match[1], 16):08x}", json.loads(quoted)
        )
        value = _metric(line).get(name, "") if name else line.text
        matched = re.fullmatch(pattern, value) if name else re.search(pattern, value)
        if (matched is None) != (operator == "!~"):
            return False
    return True


def _table(lines: list[Line], streams: Streams) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "stream_id": streams.id_of(labels_of(line.stream)),
            "ts_ns": line.ts_ns,
            "line": line.text,
            "metadata": sorted(line.metadata),
        }
        for line in lines
    ]
    return pa.Table.from_pylist(rows, ROWS)
