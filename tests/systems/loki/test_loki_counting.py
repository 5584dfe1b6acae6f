"""Counting streams on a Loki that refuses long queries, or that counts many streams at once.

Belongs here: which queries are sent, on a server that answers them by a table. Does not: counts of
real servers (test_loki_by_stream.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from support.serving import HttpServer, serving

from lake.http.client import Http
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading.api import Api
from lake.systems.loki.reading.counting import counted_streams
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.stream_set import StreamSet
from lake.systems.loki.reading.version import Dialect, Version

HOUR = 3_600_000_000_000
SELECTOR = Selector.parse('{job="j"} |= "x"')
MATCHERS = re.compile(r'([a-z_]+)(=~|=)"((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


@dataclass
class Counter:
    """A Loki that has lines of `streams`, with the metadata that it takes for labels."""

    streams: list[tuple[Labels, Labels, int]]
    longest: int = 10**9
    queries: list[str] = field(default_factory=list)

    def answer(self, query: str, time_ns: int) -> tuple[int, str]:
        self.queries.append(query)
        if len(query) > self.longest:
            return 500, "error cloning query: parse error at line 1, col 1025: unexpected $end"
        lines = [] if "[1ms]" in query else self.streams  # all lie in the middle of the day
        rows = []
        for part in query.split(" or "):
            counts: dict[tuple[tuple[str, str], ...], int] = {}
            by = re.match(r"sum by \(([^)]*)\)", part)
            number = re.search(r'"monitoring_lake_number", "(\d+)"', part)
            matchers = MATCHERS.findall(part[part.index("{") : part.index("}")])
            for labels, metadata, count in lines:
                if all(_matches(labels.get(name, ""), *how) for name, *how in matchers):
                    seen = metadata | labels
                    names = by[1].split(", ") if by else []
                    key = tuple((name, seen[name]) for name in names if name in seen)
                    counts[key] = counts.get(key, 0) + count
            own = {"monitoring_lake_number": number[1]} if number else {}
            rows += [
                {"metric": dict(key) | own, "value": [time_ns / 1e9, f"{count}"]}
                for key, count in counts.items()
            ]
        data = {"resultType": "vector", "result": rows}
        return 200, json.dumps({"status": "success", "data": data})


def _matches(value: str, operator: str, text: str) -> bool:
    pattern = json.loads(f'"{text}"')
    return bool(re.fullmatch(pattern, value)) if operator == "=~" else value == pattern


@pytest.fixture
def loki() -> Counter:
    return Counter([({"job": "j", "pod": f"pod-{n}.{n}"}, {}, n % 7 + 1) for n in range(600)])


@pytest.fixture
def api(loki: Counter) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self.reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def reply(self, form: str) -> None:
            values = parse_qs(form)
            status, text = loki.answer(values["query"][0], int(values["time"][0]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    def pause(seconds: float) -> None:
        raise AssertionError("a query that is not parsed is sent again")

    server = HttpServer(Handler)
    with serving(server):
        section = LokiSource(url=f"http://127.0.0.1:{server.server_port}", timeout_s=5)
        http = Http(section, "loki", pause=pause)
        yield Api(http, Limit())
        http.close()


def counts_of(api: Api, loki: Counter, version: str, selector: Selector = SELECTOR) -> list[int]:
    api.dialect = Dialect(Version(version))
    streams = StreamSet([labels for labels, _, _ in loki.streams], api.streams)
    counts = counted_streams(api, streams, selector, 0, 24 * HOUR, 2)
    return [counts[streams.number(labels) or 0] for labels, _, _ in loki.streams]


def wanted(loki: Counter) -> list[int]:
    return [count for _, _, count in loki.streams]


@pytest.mark.parametrize("version", ["", "2.2.1", "2.5.0"])
def test_a_query_that_is_not_parsed_is_split_and_not_repeated(
    api: Api, loki: Counter, version: str
) -> None:
    loki.longest = 1024
    assert counts_of(api, loki, version) == wanted(loki)
    refused = sum(len(query) > loki.longest for query in loki.queries)
    assert refused <= 12  # the two threads learn within a few queries what is parsed


@pytest.mark.parametrize("version", ["2.6.1", "2.8.11", "2.9.17"])
def test_streams_are_counted_together_where_they_are_not_merged(
    api: Api, loki: Counter, version: str
) -> None:
    assert counts_of(api, loki, version) == wanted(loki)
    assert len(loki.queries) == 2 * 3  # 600 streams by 250; the day, and its last millisecond


@pytest.mark.parametrize(
    ("pipeline", "together"),
    [
        ('| json msg="msg" | line_format "{{.msg}} | drop"  # | keep', True),
        ("| json | label_format pod=job", False),
        ("| json | drop pod", False),
        ('| json | level="x"', False),
        ("| unpack", False),
    ],
)
def test_a_pipeline_that_may_change_labels_is_counted_stream_by_stream(
    api: Api, loki: Counter, pipeline: str, *, together: bool
) -> None:
    selector = SELECTOR.piped(pipeline)
    assert counts_of(api, loki, "2.8.11", selector) == wanted(loki)
    assert any("sum by" in query for query in loki.queries) is together


def test_metadata_with_the_name_of_another_streams_label(api: Api, loki: Counter) -> None:
    """By labels the second line is the third stream's."""
    inner, outer = {"job": "j", "pod": "a"}, {"job": "j", "pod": "a", "zone": "z"}
    loki.streams = [
        (inner, {}, 1),
        (inner, {"zone": "z"}, 2),
        (outer, {}, 4),
        ({"job": "j"}, {}, 8),
    ]
    counts = counts_of(api, loki, "2.9.17")
    assert counts == [3, 3, 4, 8]


def test_labels_of_no_known_stream(api: Api, loki: Counter) -> None:
    first, second = {"job": "j", "pod": "a"}, {"job": "j", "zone": "y"}
    loki.streams = [(first, {"zone": "z"}, 2), (second, {}, 4)]
    assert counts_of(api, loki, "2.9.17") == [2, 4]


def test_few_streams_of_many_are_counted_without_the_others(api: Api, loki: Counter) -> None:
    api.dialect = Dialect(Version("2.8.11"))
    streams = StreamSet([labels for labels, _, _ in loki.streams], api.streams)
    few = {streams.number(labels): count for labels, _, count in loki.streams[:3]}
    wanted = [number for number in few if number is not None]
    assert counted_streams(api, streams, SELECTOR, 0, 24 * HOUR, 2, wanted) == few
    assert all("pod=~" in query for query in loki.queries)
