"""The log lines into a real Loki, by its push API.

Belongs here: push requests, flushing, counting what arrived. Does not: streams and lines
(logs).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from lake.base.day import Day
from lake.base.errors import Refused
from lake.demo.dialogue import requests_of
from lake.demo.logs import Line, Stream, lines_of
from lake.demo.scenario import Scenario
from lake.demo.settled import wait_until
from lake.http.client import Http
from lake.systems.loki.config import LokiSource

_PUSH_LINES = 10_000
_HEADERS = {"Content-Encoding": "gzip", "Content-Type": "application/json"}


def load_lines(url: str, scenario: Scenario, step: Callable[[], None]) -> int:
    """Pushes the window's lines, one day at a time; how many.

    Each day is acknowledged by the server. `step` is called after each day. Raises
    Incomplete when the last day does not appear; Refused or TransientError from the server.
    """
    http = Http(LokiSource(url=url), "loki")
    metadata = _takes_metadata(http)
    total = pushed = 0
    for day in scenario.each_day():
        streams = lines_of(scenario, day, requests_of(scenario, day))
        for part in _parts(streams):
            http.request(
                "POST",
                "/loki/api/v1/push",
                data=_push_request(part, metadata=metadata),
                headers=_HEADERS,
            )
        # Chunks of one day each: a query of a day then decodes no other one's lines.
        http.request("POST", "/flush")
        pushed = sum(len(lines) for lines in streams.values())
        total += pushed
        step()
    last = scenario.end.plus(-1)
    wait_until(pushed, partial(_count, http, last), where=f"{url} {last}")
    http.close()
    return total


def _takes_metadata(http: Http) -> bool:
    """From 3.0 on. Before, a line's ids are in its text alone."""
    try:
        version = str(http.get("/loki/api/v1/status/buildinfo").json().get("version", ""))
    except Refused:
        return False
    return not version.startswith(("0", "1", "2", "v2"))


def _parts(streams: Mapping[Stream, Sequence[Line]]) -> Iterator[dict[Stream, Sequence[Line]]]:
    """Each with at most _PUSH_LINES lines of a stream, in order of time."""
    longest = max(map(len, streams.values()), default=0)
    for start in range(0, longest, _PUSH_LINES):
        yield {
            stream: part
            for stream, lines in streams.items()
            if (part := lines[start : start + _PUSH_LINES])
        }


def _push_request(streams: Mapping[Stream, Sequence[Line]], *, metadata: bool) -> bytes:
    body = {
        "streams": [
            {
                "stream": stream.labels,
                "values": [
                    [str(line.ts_ns), line.text, *([line.metadata] if metadata else [])]
                    for line in lines
                ],
            }
            for stream, lines in streams.items()
        ]
    }
    return gzip.compress(json.dumps(body).encode(), compresslevel=1)


def _count(http: Http, day: Day) -> int:
    # Loki's ranges are open on the left: one ns before the end covers exactly the day. By
    # stream: before 2.6 a sum over several counts some lines twice.
    params = {
        "query": 'sum by (container, level, service) (count_over_time({container=~".+"}[1d]))',
        "time": str(day.end_ns - 1),
    }
    result = http.get("/loki/api/v1/query", params).json()["data"]["result"]
    return sum(int(stream["value"][1]) for stream in result)
