"""Answers and refusals that a healthy Loki does not give, from a scripted HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.serving import HttpServer, serving

from lake.base.errors import BadData, LakeError, Refused, TransientError
from lake.http.client import Http, Overloaded
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading.api import NARROWEST_NS, Api, TooMany, TooWide, Unordered
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import Selector

SELECTOR = Selector.parse('{job="x"}')
CAP = "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 100)"


def streams(*values: Any, flags: tuple[str, ...] = ("categorize-labels",)) -> bytes:
    result = [{"stream": {"job": "x"}, "values": list(values)}] if values else []
    data = {"resultType": "streams", "encodingFlags": flags, "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


LINE = ["1500", "line", {}]


class Script:
    """Answers in the order of `answers`, the last one for ever; `requests` are those it got."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.requests: list[str] = []

    def next(self, query: str) -> tuple[int, bytes]:
        self.requests.append(query)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def api(script: Script) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = script.next(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.path += "?" + body
            self.do_GET()

    server = HttpServer(Handler)
    with serving(server):
        section = LokiSource(url=f"http://127.0.0.1:{server.server_port}", timeout_s=5)
        http = Http(section, "loki", pause=lambda seconds: None)
        yield Api(http, Limit())
        http.close()


def test_the_cap_is_learned_from_the_refusal(api: Api, script: Script) -> None:
    script.answers = [(400, CAP.encode()), (200, streams(LINE))]
    page = api.page(SELECTOR, 1000, 2000, 5000)
    assert (page.rows.num_rows, page.limit, page.full) == (1, 100, False)
    assert ["limit=5000" in script.requests[0], "limit=100" in script.requests[1]] == [True, True]
    api.page(SELECTOR, 1000, 2000, 5000)
    assert "limit=100&" in script.requests[2]
    assert api.limit.usual == 100


@pytest.mark.parametrize(
    ("status", "text", "error", "requests"),
    [
        (500, "rpc error: code = ResourceExhausted desc = grpc: received message larger than max "
              "(5242880 vs. 4194304)", TooMany, 1),
        (500, "response larger than the max message size (5 vs 4)", TooMany, 1),
        (504, "context deadline exceeded", TooWide, 3),
        (503, "no ingester", TooWide, 6),
        (429, "too many outstanding requests", Overloaded, 6),
        (400, "the query would read too many bytes (query: 1TB, limit: 1GB)", TooWide, 1),
        (400, "the query time range exceeds the limit (query length: 24h, limit: 1h)", TooWide, 1),
        (400, "parse error at line 1", Refused, 1),
        (401, "no org id", Refused, 1),
        (200, '{"status":"success","data":{"resultType":"streams","result":[{"str',
              TransientError, 6),
        (200, "<html>log in</html>", BadData, 1),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', BadData, 1),
        (200, '{"status":"success"}', BadData, 1),
        (200, streams(["1500", "line"]).decode(), BadData, 1),
        (200, streams(LINE, flags=()).decode(), BadData, 1),
        (200, streams(["999", "too early", {}]).decode(), BadData, 1),
        (200, streams(["2000", "too late", {}]).decode(), BadData, 1),
        (200, streams(*([LINE] * 5001)).decode(), BadData, 1),
    ],
)  # fmt: skip
def test_what_no_page_can_be_made_of(
    api: Api, script: Script, status: int, text: str, error: type[LakeError], requests: int
) -> None:
    script.answers = [(status, text.encode())]
    with pytest.raises(error):
        api.page(SELECTOR, 1000, 2000, 5000)
    assert len(script.requests) == requests == api.tally.requests


def test_a_stretch_that_can_be_made_shorter_is_not_asked_twice(api: Api, script: Script) -> None:
    script.answers = [(504, b"context deadline exceeded")]
    with pytest.raises(TooWide):
        api.page(SELECTOR, 0, 2 * NARROWEST_NS, 5000)
    assert len(script.requests) == 1


def test_the_smallest_question_survives_a_time_out(api: Api, script: Script) -> None:
    script.answers = [(504, b"context deadline exceeded"), (200, streams(LINE))]
    assert api.page(SELECTOR, 1000, 2000, 5000).rows["line"].to_pylist() == ["line"]


def test_a_passing_failure_is_tried_again(api: Api, script: Script) -> None:
    script.answers = [(503, b"not yet"), (429, b"slow down"), (200, streams(LINE))]
    assert api.page(SELECTOR, 1000, 2000, 5000).rows["line"].to_pylist() == ["line"]
    assert api.tally.retries >= 1


def test_bytes_that_are_no_utf8_are_replaced(api: Api, script: Script) -> None:
    body = streams(["1500", "line", {"structuredMetadata": {"key": "WHERE"}, "parsed": {"a": "b"}}])
    script.answers = [(200, body.replace(b"WHERE", b"x\xff"))]
    rows = api.page(SELECTOR, 1000, 2000, 5000).rows
    assert rows["metadata"].to_pylist() == [[("a", "b"), ("key", "x\ufffd")]]


def test_a_long_query_goes_into_the_body(api: Api, script: Script) -> None:
    script.answers = [(200, streams())]
    api.page(Selector.parse('{job="' + "x" * 3000 + '"}'), 1000, 2000, 5000)
    path, _, form = script.requests[0].partition("?")
    assert path == "/loki/api/v1/query_range"
    assert "x" * 3000 in form


@pytest.mark.parametrize(
    "mark",
    [
        {"isPartial": True},
        {"partial": True},
        {"warnings": ["maximum number of series (500) reached; returning partial results"]},
        {"warnings": [1, "incomplete: an ingester is down"]},
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_part_that_is_marked_so_is_no_answer(
    api: Api, script: Script, mark: dict[str, Any], inside: bool
) -> None:
    """In the body, in data, as Loki writes it and as others may."""
    body = json.loads(streams(LINE))
    (body["data"] if inside else body).update(mark)
    for separators in ((",", ":"), (", ", ": ")):
        script.answers = [(200, json.dumps(body, separators=separators).encode())]
        with pytest.raises(TransientError, match="partial"):
            api.page(SELECTOR, 1000, 2000, 5000)
    whole = {**json.loads(streams(LINE)), "warnings": ["deprecated"], "isPartial": False}
    script.answers = [(200, json.dumps(whole).encode())]
    assert api.page(SELECTOR, 1000, 2000, 5000).rows.num_rows == 1


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("stream selector is missing required matchers [namespace]", "required_labels"),
        ("stream selector has less label matchers than required: (present: [a])", "minimum_labels"),
        ("max streams matchers per query exceeded, matchers-count > limit (9 > 2)",
         "raise max_streams_matchers_per_query"),
        ("queries require at least one regexp or equality matcher that does not have an "
         "empty-compatible value", "or {} for all streams"),
        ("pipeline error: 'JSONParserErr' for series", '__error__=""'),
        ("parse error at line 1, col 3", "correct the selector"),
    ],
)  # fmt: skip
def test_a_remedy_fits_the_refusal(api: Api, script: Script, refusal: str, remedy: str) -> None:
    script.answers = [(400, refusal.encode())]
    for ask in (
        lambda: api.page(SELECTOR, 1000, 2000, 5000),
        lambda: api.vector("x", 1),
        lambda: api.series(SELECTOR, 0, 10**9),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert remedy in caught.value.parts["remedy"]


def test_the_cap_as_old_versions_word_it(api: Api, script: Script) -> None:
    old = "max entries limit per query exceeded, limit > max_entries_limit (5000 > 100)"
    script.answers = [(400, old.encode()), (200, streams(LINE))]
    assert api.page(SELECTOR, 1000, 2000, 5000).limit == 100


@pytest.mark.parametrize(
    ("start_ns", "times", "limit", "ordered"),
    [
        (0, (120, 199), 2, True),
        (0, (199, 200), 2, False),
        (50, (120, 160), 2, False),  # before 2.5 parts are counted from the query's start
        (0, (199, 200), 3, True),  # all lines
    ],
)
def test_a_full_page_with_lines_of_several_parts_is_not_used(
    api: Api, script: Script, start_ns: int, times: tuple[int, int], limit: int, ordered: bool
) -> None:
    api.dialect.parts_ns = 100
    script.answers = [(200, streams(*([str(at), "line", {}] for at in times)))]
    if ordered:
        assert api.page(SELECTOR, start_ns, 300, limit).rows["ts_ns"].to_pylist() == [*times]
    else:
        with pytest.raises(Unordered) as caught:
            api.page(SELECTOR, start_ns, 300, limit)
        assert caught.value.parts_ns == 100


def test_limits_that_are_not_told(api: Api, script: Script) -> None:
    script.answers = [(404, b"404 page not found")]
    assert api.limits("") == {}
