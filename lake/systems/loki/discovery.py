"""A look at Loki: labels, selectors that take every stream once, retention.

Belongs here: the choice of selectors. Does not: reading lines (reading).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lake.base.day import Day, day_range
from lake.base.errors import BadData, LakeError, Refused
from lake.http.client import Http, Params
from lake.systems.discovered import (
    UNLIMITED_DAYS,
    DiscoveredSource,
    DiscoveredTable,
    Value,
    id_fields,
)
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading.api import INDEX_LABEL, Api
from lake.systems.loki.reading.config import LokiConfig, shortest_days
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import SOME, having
from lake.systems.loki.reading.version import Version, reported_version

_LOG = logging.getLogger(__name__)
ATTEMPTS = 2  # who types a command waits for the answer
_SAMPLED = 100  # lines
_KEY = re.compile(r"([A-Za-z][\w-]*)\"?\s*[=:]")  # of JSON and of logfmt
_LONGEST_DAYS = 30  # Loki answers no longer question, by default
_STREAM_DAYS = 7  # those whose streams are all listed; of earlier ones a week at a time
_UNKNOWN_DAYS = 400  # the search range where Loki does not report its retention
# What people name first when they look for a log; then the alphabet.
_PREFERRED = ("container", "service_name", "app", "job", "namespace", "filename")
# Loki's own streams, not anybody's logs.
_INTERNAL = frozenset({"__aggregated_metric__", "__pattern__"})

Labels = dict[str, str]


class LokiServer:
    """This look's requests to the HTTP API."""

    def __init__(self, http: Http, tenant: str = "") -> None:
        self._http = http
        self._tenant = tenant

    def get(self, path: str, params: Params) -> Any:
        """The answer's JSON object."""
        answer = self._http.get(f"/loki/api/v1/{path}", params, attempts=ATTEMPTS)
        body = answer.json()
        if not isinstance(body, dict) or body.get("status", "success") != "success":
            raise BadData("not a response of Loki's API", where=answer.url)
        return body

    def labels(self, start: Day, end: Day) -> list[str]:
        """The label names of [start, end), and those of any other lines not yet flushed."""
        names = self.get("labels", _between(start, end)).get("data") or ()
        return sorted(
            set(names) - _INTERNAL - {INDEX_LABEL}, key=lambda label: (_liking(label), label)
        )

    def lines(self, selector: str, start: Day, end: Day, direction: str = "backward") -> list[int]:
        """The times, in ns, of the first (`forward`) or the last lines of [start, end)."""
        params = {"query": selector, "limit": "1", "direction": direction}
        streams = self.get("query_range", {**params, **_between(start, end)})["data"]["result"]
        return [int(stream["values"][0][0]) for stream in streams]

    def names(self, selector: str, start: Day, end: Day) -> set[str]:
        """Names of labels, of structured metadata and of keys in the last lines of [start, end)."""
        params = {"query": selector, "limit": str(_SAMPLED), **_between(start, end)}
        streams = self.get("query_range", params)["data"]["result"]
        lines = [str(value[1]) for stream in streams for value in stream["values"]]
        keys = {key for line in lines for key in _KEY.findall(line)}
        return keys.union(*(stream["stream"] for stream in streams))

    def edge(self, label: str, start: Day, end: Day, direction: str) -> Day | None:
        """The day of the first (`forward`) or last (`backward`) line of [start, end)."""
        at_ns = self.lines(having(label), start, end, direction)
        return Day(datetime.fromtimestamp(at_ns[0] / 1e9, UTC).date()) if at_ns else None

    def streams(
        self, labels: Iterable[str], start: Day, end: Day, absent: Sequence[str] = ()
    ) -> list[Labels]:
        """The label sets of the streams of [start, end) that have one of the labels, and none of
        the absent ones.
        """
        matchers = [having(label, absent) for label in labels]
        params: Params = {"match[]": matchers, **_between(start, end)}
        listed = self.get("series", params).get("data") or ()
        return [stream for stream in listed if not _INTERNAL & stream.keys()]

    def entries(self, selector: str, day: Day) -> int | None:
        """About how many lines a day has; None where Loki does not report it."""
        try:
            stats = self.get("index/stats", {"query": selector, **_between(day, day.plus(1))})
        except Refused:
            return None
        return int(stats["entries"]) if "entries" in stats else None

    def version(self) -> Version:
        """As the server reports it, if it does."""
        return reported_version(self._http)

    def limit(self, name: str) -> str | None:
        """A limit of the tenant's, such as `max_query_lookback`; None where it is not shown."""
        value = self._limits.get(name)
        return self._config.limit(name, self._tenant) if value is None else str(value)

    def kept_days(self) -> int | None:
        """None where Loki does not report it, or a gateway hides it."""
        days = self._config.kept_days(self._tenant)
        if days != 0:
            # A tenant's own period, and all there is where a gateway hides the configuration.
            own = shortest_days([str(self._limits.get("retention_period", ""))])
            days = min(days or own, own) if own else days
        return UNLIMITED_DAYS if days == 0 else days

    @cached_property
    def _limits(self) -> Mapping[str, Any]:
        return Api(self._http, Limit()).limits(self._tenant)

    @cached_property
    def _config(self) -> LokiConfig:
        return LokiConfig.parse(self._page("/config"), self._page("/runtime_config"))

    def _page(self, path: str) -> str:
        """Loki's own page; a gateway may hide it, and no error is worth it."""
        try:
            return self._http.get(path, attempts=ATTEMPTS).content.decode(errors="replace")
        except LakeError as error:
            _LOG.info("loki: %s can't be read: %s", path, error.what)
            return ""


def look(section: LokiSource, keys: Mapping[str, Value]) -> DiscoveredSource:
    """Tables that together take every stream, each once.

    `keys` may stand in a file. Raises what lake.http raises.
    """
    with closing(Http(section, "loki")) as http:
        server = LokiServer(http, section.tenant)
        version, kept = server.version(), server.kept_days()
        expires = kept is not None and kept < UNLIMITED_DAYS
        span = _span(server, kept if kept and expires else _UNKNOWN_DAYS)
        tables, unseen = _tables(server, *span) if span else ((), "")
    return DiscoveredSource(
        source="loki",
        section=keys,
        summary=version.described + (unseen if span else ", no lines"),
        hot_days=kept,
        hot_basis=_basis(kept),
        tables=tables,
        oldest=span[0] if span else None,
    )


def _basis(kept_days: int | None) -> str:
    if kept_days is None:
        return "Loki does not report it"
    if kept_days == UNLIMITED_DAYS:
        return "retention is not enabled: nothing expires"
    return "Loki's retention period"


def _span(server: LokiServer, kept_days: int) -> tuple[Day, Day] | None:
    """The first day with lines, and the last one with lines of the label that most streams are
    likely to have.

    Goes back in stretches over all that Loki keeps: there may be months without lines.
    """
    first = last = None
    end = Day.today().plus(1)
    furthest = end.plus(-kept_days - 1)
    while end > furthest:
        start = max(end.plus(-_LONGEST_DAYS), furthest)
        labels = server.labels(start, end)
        oldest = None
        for label in labels:  # the lines of each one may begin at another time
            if oldest == start:
                break
            oldest = server.edge(label, start, oldest or end, "forward") or oldest
        if oldest:
            first = oldest
            edges = (server.edge(label, start, end, "backward") for label in labels)
            last = last or next(filter(None, edges), None)
        end = start
    return (first, last) if first and last else None


def _tables(server: LokiServer, first: Day, last: Day) -> tuple[tuple[DiscoveredTable, ...], str]:
    """Of the streams of the last week with lines: a day, or what has passed of it, does not have
    them all. Of this week, too, where that is a later one: the label that `last` is of may be in
    earlier streams alone. Then of earlier streams that the selectors of these leave out; the text
    says where they could not be listed, "" where they were.
    """
    today = Day.today()
    start = max(first, last.plus(1 - _STREAM_DAYS))
    since = max(last.plus(1), today.plus(1 - _STREAM_DAYS))
    days = [*day_range(start, last.plus(1)), *day_range(since, today.plus(1))]
    streams = _streams(server, days)
    weeks = dict.fromkeys(covering(streams), (start, last.plus(1)))
    unseen = ""
    for earlier in _weeks_before(start, first):
        try:
            ended = _left_out(server, list(weeks), *earlier)
        except LakeError as error:
            unseen = f", streams that ended before {earlier[1]} were not listed ({error.what})"
            break
        streams += ended
        weeks |= dict.fromkeys(covering(ended), earlier)
    tables: list[DiscoveredTable] = []
    before: list[str] = []
    for label, week in weeks.items():
        taken = [stream for stream in streams if label in stream]
        streams = [stream for stream in streams if label not in stream]
        values = sorted({stream[label] for stream in taken})
        pattern = SOME if any("\n" in value for value in values) else ".+"
        selector = having(label, before, pattern)
        before.append(label)
        entries = server.entries(selector, last)
        note = f", which ended before {start}" if week[0] < start else ""
        seen = [f"{len(taken)} streams since {week[0]}{note}"]
        seen[0] += f", about {entries:,} lines on {last}" if entries else ""
        seen.append(f"{label}: {_examples(values)}")
        name = f"{label.removesuffix('_name')}_logs"
        keys = {"source": "loki", "selector": selector}
        ids = id_fields(server.names(selector, *week))
        tables.append(DiscoveredTable(name, keys, tuple(seen), id_fields=ids))
    return tuple(tables), unseen


def _weeks_before(end: Day, first: Day) -> Iterator[tuple[Day, Day]]:
    """[first, end) as stretches, the newest first."""
    while end > first:
        start = max(first, end.plus(-_STREAM_DAYS))
        yield start, end
        end = start


def _left_out(server: LokiServer, chosen: list[str], start: Day, end: Day) -> list[Labels]:
    """The label sets of the streams of [start, end) without any of the chosen labels: few, or none,
    so that a week of them is one request.
    """
    others = [label for label in server.labels(start, end) if label not in chosen]
    return server.streams(others, start, end, chosen) if others else []


def _streams(server: LokiServer, days: Iterable[Day]) -> list[Labels]:
    """The label sets of the days, each once; requested by day, as Loki keeps its index."""
    known: dict[frozenset[tuple[str, str]], Labels] = {}
    for day in days:
        if labels := server.labels(day, day.plus(1)):
            listed = server.streams(labels, day, day.plus(1))
            known |= {frozenset(stream.items()): stream for stream in listed}
    return list(known.values())


def covering(streams: list[Labels]) -> list[str]:
    """Labels so that each stream has one of them: the fewest, as far as that is quickly found."""
    chosen = []
    while streams:
        counts: dict[str, int] = {}
        for label in (label for stream in streams for label in stream):
            counts[label] = counts.get(label, 0) + 1
        best = min(counts, key=lambda label: (-counts[label], _liking(label), label))
        chosen.append(best)
        streams = [stream for stream in streams if best not in stream]
    return chosen


def _liking(label: str) -> int:
    return _PREFERRED.index(label) if label in _PREFERRED else len(_PREFERRED)


def _between(start: Day, end: Day) -> dict[str, str]:
    return {"start": str(start.start_ns), "end": str(end.start_ns - 1)}


def _examples(values: list[str]) -> str:
    return ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
