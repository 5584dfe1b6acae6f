"""The log lines into a real Loki, by its push API.

Belongs here: push requests, flushing, counting what arrived. Does not: streams and lines
(logs).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from lake.base.day import Day
from lake.base.settings import LokiSource
from lake.demo.dialogue import requests_of
from lake.demo.logs import Line, Stream, lines_of
from lake.demo.scenario import Scenario
from lake.demo.settled import wait_until
from lake.sources.http import Http

_HEADERS = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
_FLUSH_EVERY_DAYS = 10  # a query of one day then reads chunks of few others
_LONGEST_QUERY_DAYS = 30  # Loki's default max_query_length


def load_lines(url: str, scenario: Scenario, step: Callable[[], None]) -> int:
    """Pushes the window's lines, one day at a time; how many.

    `step` is called after each day. Raises Incomplete when fewer are found than were
    pushed; Refused or TransientError from the server.
    """
    http = Http(LokiSource(url=url), "loki")
    counts: dict[Day, int] = {}
    for number, day in enumerate(scenario.each_day(), start=1):
        streams = lines_of(scenario, day, requests_of(scenario, day))
        http.request("POST", "/loki/api/v1/push", data=_push_request(streams), headers=_HEADERS)
        counts[day] = sum(len(lines) for lines in streams.values())
        if number % _FLUSH_EVERY_DAYS == 0 or number == scenario.days:
            http.request("POST", "/flush")
        step()
    days = list(counts)
    for at in range(0, len(days), _LONGEST_QUERY_DAYS):
        part = days[at : at + _LONGEST_QUERY_DAYS]
        wait_until(
            sum(counts[day] for day in part),
            partial(_count, http, part),
            where=f"{url} {part[0]}…{part[-1]}",
        )
    http.close()
    return sum(counts.values())


def _push_request(streams: Mapping[Stream, Sequence[Line]]) -> bytes:
    body = {
        "streams": [
            {
                "stream": stream.labels,
                "values": [[str(line.ts_ns), line.text, line.metadata] for line in lines],
            }
            for stream, lines in streams.items()
        ]
    }
    return gzip.compress(json.dumps(body).encode(), compresslevel=1)


def _count(http: Http, days: Sequence[Day]) -> int:
    # Loki's ranges are open on the left: one ns before the end covers exactly these days.
    params = {
        "query": f'sum(count_over_time({{container=~".+"}}[{len(days)}d]))',
        "time": str(days[-1].end_ns - 1),
    }
    result = http.get("/loki/api/v1/query", params).json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0
