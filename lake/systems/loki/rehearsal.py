"""The comparison of a restored Loki with the lake's lines.

Belongs here: LogQL over plain HTTP, on other paths than an export's. Does not: exports'
own reading and counting (comparing).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from lake.base.day import Day
from lake.http.client import Http, Rejected
from lake.systems.comparison import RehearsalCheck
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading.cover import cover
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.ruled import RuledRows
from lake.systems.loki.reading.version import Version
from lake.systems.rehearsed import RehearsedPartition

_HOUR_NS = 3_600_000_000_000
_NS = 1_000_000_000
_BEFORE_NS = 1000  # Loki may leave out a line that lies at a query's very start
_MOST_LINES = "5000"
_HOUR_S = 3600
_BY_SELECTOR = (3, 0)  # the lowest version that never merges equal lines
_AT_ONCE = 8
_LOOKED_BACK_DAYS = 30
_EVERYTHING = Selector.parse("{}")
Found = TypeVar("Found")
_NO_ERRORS = "| drop __error__, __error_details__"
_CATEGORISED = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}


class LokiQuestions:
    """Sends queries to a restored server on behalf of one tenant.

    Before 3.0 a query over several streams may return equal lines of one instant once, in sums
    too. So such a server gets each query for each stream by itself.
    """

    def __init__(self, endpoint: Mapping[str, str], version: str, tenant: str) -> None:
        self._http = Http(LokiSource(url=endpoint["url"], tenant=tenant), "loki")
        self._version = Version(version)
        numbers = self._version.numbers  # an unknown version counts as old
        self._by_stream = numbers is None or numbers < _BY_SELECTOR

    def first_answer(self, taken: datetime) -> None:
        """Something that only a Loki answers that has read its index."""
        self._label_names(taken)

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def newest(self, end: datetime) -> datetime | None:
        """Of all lines, if there is one in the 30 days before `end`."""
        for days in range(_LOOKED_BACK_DAYS):
            until = end - timedelta(days=days)
            times = [
                int(at)
                for _, selector in cover(_EVERYTHING, self._label_names(until))
                for stream in self._lines(str(selector), until - timedelta(days=1), until)
                for at, *_ in stream["values"]
            ]
            if times:
                return datetime.fromtimestamp(max(times) / _NS, UTC)
        return None

    def checks(self, part: RehearsedPartition, seed: int, samples: int) -> Iterator[RehearsalCheck]:
        """Bytes of all lines, and some lines one by one."""
        yield self._hours(part)
        yield self._sampled(part, seed, samples)

    def _hours(self, part: RehearsedPartition) -> RehearsalCheck:
        """The bytes of every hour's lines."""
        check = RehearsalCheck("the bytes of each hour's lines")
        there: Counter[int] = Counter()
        if (ruled := _ruled(part.dataset)) and (ruled.changes_lines or self._by_stream):
            check.remark = "left out: the dataset has rules on its lines or labels"
            return check
        try:
            for counts in self._each(self._hours_of, self._selectors(part), part.day):
                there.update(counts)
        except Rejected as error:
            if not self._by_stream:
                raise
            check.remark = f"left out: Loki {self._version} refuses the query: {error.text}"
            return check
        for row in part.rows("loki_hours"):
            found_bytes = there.pop(row["at_ns"], 0)
            if row["unclear"]:
                check.remark = "left out: hours with lines that may have been no UTF-8"
            elif self._by_stream and row["at_end"]:
                check.remark = (
                    "left out: hours with lines in their last ns, which this version of Loki "
                    f"({self._version}) may leave out of its counts, as all before 3.0"
                )
            else:
                check.compare(_iso(row["at_ns"]), row["bytes"], found_bytes)
        for at_ns, size in there.items():
            check.differ(_iso(at_ns), "no lines", size)
        return check

    def _hours_of(self, selector: Selector, day: Day) -> Counter[int]:
        """Hour → bytes; one request per stream where that can be, else one an hour."""
        # A line that a parser stumbled over would make the whole query fail.
        drops = selector.pipeline and not self._by_stream
        lines = selector.piped(_NO_ERRORS) if drops else selector
        query = f"sum(bytes_over_time({lines}[1h]))"
        first, counts = day.start_ns + _HOUR_NS - 1, Counter[int]()  # closed on its right
        if self._by_stream:
            times = {"start": str(first), "end": str(day.end_ns - 1), "step": str(_HOUR_S)}
            result = self._ask("query_range", {"query": query, **times})
            points = [point for series in result for point in series["values"]]
            # 2.6 to 2.9 move the times to full hours, and lines on these into the hour before.
            if all(float(at_s) % _HOUR_S for at_s, _ in points):
                for at_s, value in points:
                    counts[int(at_s) // _HOUR_S * _HOUR_NS] += round(float(value))
                return counts
        for at in range(first, day.end_ns, _HOUR_NS):
            for series in self._ask("query", {"query": query, "time": str(at)}):
                counts[at - _HOUR_NS + 1] += round(float(series["value"][1]))
        return counts

    def _each(
        self, what: Callable[[Selector, Day], Found], selectors: Sequence[Selector], day: Day
    ) -> Iterator[Found]:
        with ThreadPoolExecutor(_AT_ONCE if self._by_stream else 1) as pool:
            yield from pool.map(lambda selector: what(selector, day), selectors)

    def _sampled(self, part: RehearsedPartition, seed: int, samples: int) -> RehearsalCheck:
        """All lines of some nanoseconds, with labels and metadata."""
        check = RehearsalCheck("some lines with their labels and metadata, one by one")
        ruled = _ruled(part.dataset)
        if ruled and ruled.changes_labels:
            check.remark = "left out: by labels that have rules no line can be looked up"
            return check
        here: dict[int, Counter[str]] = {}
        streams: dict[int, dict[str, Selector]] = {}
        names = self._names(part) if self._by_stream else set()
        all_selectors = [] if self._by_stream else self._selectors(part)
        all_lines = Selector.parse(part.dataset.selector)
        for row in part.rows("loki_lines", seed=seed, wanted=samples):
            labels = part.labels(row)
            here.setdefault(row["ts_ns"], Counter())[
                self._line_text(row["line"], labels, row["metadata"] or {})
            ] += 1
            selector = _of_stream(all_lines, labels, names)
            streams.setdefault(row["ts_ns"], {})[str(selector)] = selector
        for at, expected in here.items():
            lines: Counter[str] = Counter()
            for selector in streams[at].values() if self._by_stream else all_selectors:
                lines += self._at(str(selector), at, ruled)
            lost, extra = expected - lines, lines - expected
            check.compared += expected.total()
            for line, other in _pairs(lost, extra):
                check.differ(_iso(at), line, other)
        return check

    def _at(self, selector: str, at_ns: int, ruled: RuledRows | None) -> Counter[str]:
        window = {
            "start": str(at_ns - _BEFORE_NS),
            "end": str(at_ns + 1),
            "direction": "forward",
        }
        query = {"query": selector, "limit": _MOST_LINES, **window}
        lines: Counter[str] = Counter()
        for stream in self._ask("query_range", query):
            for at, line, *categories in stream["values"]:
                kinds = categories[0] if categories else {}
                metadata = {**kinds.get("structuredMetadata", {}), **kinds.get("parsed", {})}
                if int(at) == at_ns:
                    if ruled:
                        row = ruled.row({"line": line, "metadata": sorted(metadata.items())})
                        line, metadata = row["line"], dict(row["metadata"])  # noqa: PLW2901
                    lines[self._line_text(line, stream["stream"], metadata)] += 1
        return lines

    def _line_text(self, line: str, labels: Mapping[str, str], metadata: Mapping[str, str]) -> str:
        """One text for equal lines; old answers do not separate labels from what a parser found."""
        own, other = dict(labels), dict(metadata)
        parts = [line, {**own, **other}, {}] if self._by_stream else [line, own, other]
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)

    def _selectors(self, part: RehearsedPartition) -> list[Selector]:
        """The dataset's own; for `{}`, which Loki refuses, those that share out all its streams."""
        selector = Selector.parse(part.dataset.selector)
        if self._by_stream:
            names = self._names(part)
            rows = part.rows("loki_streams")
            return [_of_stream(selector, part.labels(row), names) for row in rows]
        if not selector.everything:
            return [selector]
        others = {name for row in part.rows("loki_label_names") for name in row["names"]}
        return [narrowed for _, narrowed in cover(selector, [*part.label_names(), *others])]

    def _names(self, part: RehearsedPartition) -> set[str]:
        """Of all labels that a stream of the day may have."""
        others = {name for row in part.rows("loki_label_names") for name in row["names"]}
        there = set(self._label_names(part.day.end)) - {"__name__"}
        return {*part.label_names(), *others, *there}

    def _lines(self, selector: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The newest line of the stretch, if there is one."""
        window = {"start": _ns(start), "end": _ns(end), "direction": "backward", "limit": "1"}
        return self._ask("query_range", {"query": selector, **window})

    def _label_names(self, until: datetime) -> list[str]:
        window = {"start": _ns(until - timedelta(days=1)), "end": _ns(until)}
        answer = self._http.get("/loki/api/v1/labels", window).json()
        return sorted(answer.get("data") or [])

    def _ask(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = self._http.get(f"/loki/api/v1/{path}", params, headers=_CATEGORISED).json()
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


def _ruled(dataset: Any) -> RuledRows | None:
    rules = dataset.rules()
    return RuledRows(rules) if rules else None


def _of_stream(all_lines: Selector, labels: Mapping[str, str], names: Iterable[str]) -> Selector:
    """Of the stream with these labels and no other ones of `names`."""
    return all_lines.of_stream(labels, [{**dict.fromkeys(names, "any"), **labels}])


def _pairs(lost: Counter[str], extra: Counter[str]) -> Iterator[tuple[str, str]]:
    ones, others = list(lost.elements()), list(extra.elements())
    for number in range(max(len(ones), len(others))):
        yield (
            ones[number] if number < len(ones) else "no such line",
            others[number] if number < len(others) else "no such line",
        )


def _ns(at: datetime) -> str:
    return str(int(at.timestamp()) * _NS)


def _iso(ns: int) -> str:
    at = datetime.fromtimestamp(ns // _NS, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ns % _NS:09d}Z"
