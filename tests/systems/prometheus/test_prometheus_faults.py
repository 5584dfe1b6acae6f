"""What a real server can't be made to show: partial answers, limits, odd proxies."""

from __future__ import annotations

import json
from contextlib import closing

import pyarrow as pa
import pytest
from support.prometheus_history import DAY, dataset

from lake.base.errors import BadData, Refused, TransientError
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader, api

SELECTOR = '{job="t"}'


class FakePrometheus:
    """One series `m` with a sample at each step. What `more` holds goes into each envelope."""

    def __init__(self, scripted, reply) -> None:
        self.scripted, self.reply = scripted, reply
        self.more: dict[str, object] = {}
        self.most_steps = 10**9
        self.refusal = reply(json.dumps({"error": "too many samples"}).encode(), 422)
        self.stores: object = None
        self.built: object = None  # as buildinfo reports it
        scripted.answer = self.answer

    def answer(self, request):
        if request.path.endswith("/stores"):
            if self.stores is None:
                return self.reply(b"404 page not found", 404)
            return self.reply(json.dumps({"status": "success", "data": self.stores}).encode())
        if request.path.endswith("/buildinfo"):
            return self.envelope(self.built) if self.built else self.reply(b"not found", 404)
        if request.path.endswith("/values"):
            return self.envelope(["m"] if "__name__" in request.path else ["a"])
        if request.path.endswith("/labels"):
            return self.envelope(["__name__"])
        if request.path.endswith("/query"):
            return self.envelope({"resultType": "scalar", "result": [0, "1"]})
        start, end = (round(float(request.params[name]) * 1000) for name in ("start", "end"))
        step = int(request.params["step"].removesuffix("ms"))
        steps = range(start, end + 1, step)
        if len(steps) > self.most_steps:
            return self.refusal
        count = request.params["query"].startswith("count")
        labels = {} if request.params["query"].startswith("count (") else {"__name__": "m"}
        values = [[at / 1000, "1" if count else str(at)] for at in steps]
        result = [{"metric": labels, "values": values}]
        if request.params["query"].endswith('__name__=""}'):
            result = []
        return self.envelope({"resultType": "matrix", "result": result})

    def envelope(self, data):
        return self.reply(json.dumps({"status": "success", "data": data, **self.more}).encode())


@pytest.fixture
def fake(scripted, reply):
    return FakePrometheus(scripted, reply)


@pytest.fixture
def fake_reader(scripted):
    reader = PrometheusReader(PrometheusSource(url=scripted.url + "/prefix"))
    reader._http._pause = lambda _: None
    yield reader
    reader.close()


def read(reader, scratch, **options):
    with reader.read(dataset(SELECTOR, **options), DAY, scratch) as stream:
        return pa.Table.from_batches(list(stream.batches), stream.schema), stream.details


def test_asks_below_the_prefix_and_wants_no_partial_answer(fake, fake_reader, scratch):
    table, details = read(fake_reader, scratch)
    assert table["value"].to_pylist() == list(range(DAY.start_ms, DAY.end_ms, 15_000))
    assert fake_reader.count(dataset(SELECTOR), DAY).rows == 5760
    probes = [
        request
        for request in fake.scripted.requests
        if request.params.get("query") == "1" or request.path.endswith("/buildinfo")
    ]
    assert details["requests"] + 1 == len(fake.scripted.requests) - len(probes)
    assert {request.path.rpartition("/api/")[0] for request in fake.scripted.requests} == {
        "/prefix"
    }
    for request in fake.scripted.requests:
        assert request in probes or request.headers["Cache-Control"] == "no-store"
        if request.path.endswith("query_range"):
            assert request.params["partial_response"] == "false"
            assert request.params["dedup"] == "true"
            assert request.params["max_source_resolution"] == "0s"


@pytest.mark.parametrize(
    ("built", "version", "application"),
    [
        ({"version": "3.16.0", "revision": "1"}, "3.16.0", None),
        ({"version": "2.17.1", "application": "Grafana Mimir"}, "2.17.1", "Grafana Mimir"),
        (None, None, None),
        ([], None, None),
    ],
)
def test_the_manifest_has_the_server_s_version(
    fake, fake_reader, scratch, built, version, application
):
    fake.built = built
    _, details = read(fake_reader, scratch)
    assert details.get("server_version") == version
    assert details.get("server_application") == application


@pytest.mark.parametrize("status", [422, 413, 503])
def test_asks_for_less_where_the_server_can_bear_no_more(
    fake, fake_reader, scratch, reply, status
):  # fmt: skip
    whole, _ = read(fake_reader, scratch)
    fake.most_steps = 700
    fake.refusal = reply(b'{"error":"too many samples"}', status)
    again, _ = read(fake_reader, scratch)
    assert again.equals(whole)
    assert fake_reader.count(dataset(SELECTOR), DAY).rows == 5760


@pytest.mark.parametrize(
    "text",
    [
        "the query time range exceeds the limit (query length: 24h0m0s, limit: 12h0m0s)",
        "too many points for the given step",
        "query processing would load too many samples into memory",
    ],
)
def test_asks_for_less_where_a_400_says_that_it_is_too_much(
    fake, fake_reader, scratch, reply, text
):  # fmt: skip
    whole, _ = read(fake_reader, scratch)
    fake.most_steps = 700
    fake.refusal = reply(json.dumps({"status": "error", "error": text}).encode(), 400)
    again, _ = read(fake_reader, scratch)
    assert again.equals(whole)
    assert fake_reader.count(dataset(SELECTOR), DAY).rows == 5760


@pytest.mark.parametrize("end", [b'"b":{}', b'"],[1'])
def test_an_answer_cut_short_with_its_framing_intact_is_asked_again(
    fake, fake_reader, scratch, reply, end
):
    whole, _ = read(fake_reader, scratch)
    answers = fake.scripted.answer
    cut: list[str] = []

    def once(request):
        answer = answers(request)
        if request.path.endswith("query_range") and request.params["query"] not in cut:
            cut.append(request.params["query"])
            return reply(answer.body[: len(answer.body) // 2] + end)
        return answer

    fake.scripted.answer = once
    again, details = read(fake_reader, scratch)
    assert again.equals(whole)
    assert details["retries"] == len(cut) > 0
    cut.clear()
    assert fake_reader.count(dataset(SELECTOR), DAY).rows == 5760


def test_an_answer_that_is_marked_as_partial_is_none(fake, fake_reader, scratch):
    fake.more = {"isPartial": False}
    read(fake_reader, scratch)
    fake.more = {"isPartial": True}
    with pytest.raises(TransientError, match="partial"):
        read(fake_reader, scratch)
    with pytest.raises(TransientError, match="partial"):
        fake_reader.count(dataset(SELECTOR), DAY)
    ranges = [request for request in fake.scripted.requests if request.path.endswith("query_range")]
    assert {request.params["deny_partial_response"] for request in ranges} == {"1"}


def test_asks_for_less_where_the_answer_is_too_large(fake, fake_reader, scratch, monkeypatch):
    whole, _ = read(fake_reader, scratch)
    monkeypatch.setattr(api, "_MOST_BYTES", 20_000)
    again, details = read(fake_reader, scratch)
    assert again.equals(whole)
    assert details["requests"] > 10


@pytest.mark.parametrize(("status", "kind"), [(422, Refused), (503, TransientError)])
def test_gives_up_where_not_even_one_step_is_answered(
    fake, fake_reader, scratch, reply, status, kind
):
    fake.most_steps = 0
    fake.refusal = reply(b'{"error":"found duplicate series"}', status)
    for ask in (lambda: read(fake_reader, scratch), lambda: fake_reader.count(dataset("x"), DAY)):
        fake.scripted.requests.clear()
        with pytest.raises(kind, match="found duplicate series"):
            ask()
        assert len(fake.scripted.requests) < 80


def test_a_partial_answer_is_a_failure(fake, fake_reader, scratch):
    fake.more = {"warnings": ["fetch series: store 10.0.0.1 is away"]}
    with pytest.raises(TransientError, match=r"(?s)partial.*10\.0\.0\.1"):
        read(fake_reader, scratch)
    with pytest.raises(TransientError, match="partial"):
        fake_reader.count(dataset(SELECTOR), DAY)


def test_remarks_of_the_engine_are_told(fake, fake_reader, scratch):
    remark = "PromQL info: metric might not be a counter, name does not end in _total"
    fake.more = {"infos": [remark]}
    _, details = read(fake_reader, scratch)
    assert details["remarks"] == [remark]
    assert fake_reader.count(dataset(SELECTOR), DAY).rows == 5760


def test_an_error_with_status_200_is_one(fake, fake_reader, scratch, scripted, reply):
    scripted.answer = lambda _: reply(b'{"status":"error","errorType":"x","error":"no way"}')
    with pytest.raises(Refused, match="no way"):
        read(fake_reader, scratch)
    with pytest.raises(Refused, match="no way"):
        fake_reader.count(dataset(SELECTOR), DAY)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"status":"success","data":{}}', b"OK"])
def test_something_else_answers(fake_reader, scratch, scripted, reply, body):
    scripted.answer = lambda _: reply(body)
    with pytest.raises(BadData):
        read(fake_reader, scratch)
    with pytest.raises(BadData):
        fake_reader.count(dataset(SELECTOR), DAY)


def test_a_broken_off_answer_is_no_short_day(fake, fake_reader, scratch, scripted, reply):
    def broken(request):
        answer = fake.answer(request)
        if "count" in request.params.get("query", "") or not request.path.endswith("query_range"):
            return answer
        return reply(answer.body[: len(answer.body) // 2], promised=None)

    scripted.answer = broken
    with pytest.raises(TransientError):
        read(fake_reader, scratch)


def store(error: str | None, start_ms: int, end_ms: int) -> dict[str, object]:
    return {"name": "s:10901", "lastError": error, "minTime": start_ms, "maxTime": end_ms}


def test_a_store_of_thanos_that_is_away(fake, fake_reader, scratch):
    fake.stores = {"sidecar": [store(None, 0, 2**62)], "store": [store("gone", 0, DAY.start_ms)]}
    with pytest.raises(TransientError, match="gone"):
        read(fake_reader, scratch)
    fake.stores = {"store": [store("gone", 0, DAY.start_ms - 1), store(None, 0, 2**62)]}
    assert read(fake_reader, scratch)[0].num_rows == 5760


@pytest.mark.parametrize("known", [None, {"store": [store(None, 0, 2**62)]}])
def test_a_store_that_thanos_has_forgotten(fake, scripted, scratch, known):
    fake.stores = known
    scripted.answer = fake.answer
    section = PrometheusSource(url=scripted.url, min_stores=2)
    with closing(PrometheusReader(section)) as reader, pytest.raises(TransientError) as raised:
        read(reader, scratch)
    assert "min_stores" in str(raised.value)
    fake.stores = {"store": [store(None, 0, 2**62), store(None, 0, 2**62)]}
    with closing(PrometheusReader(section)) as reader:
        assert read(reader, scratch)[0].num_rows == 5760


def test_a_store_that_goes_away_while_we_read(fake, fake_reader, scratch, scripted):
    def going(request):
        if request.path.endswith("query_range"):
            fake.stores = {"store": [store("gone", 0, 2**62)]}
        return fake.answer(request)

    fake.stores = {"store": [store(None, 0, 2**62)]}
    scripted.answer = going
    with pytest.raises(TransientError, match="gone"):
        read(fake_reader, scratch)


def test_a_long_query_goes_as_a_form(fake, fake_reader, scratch):
    query = f'{{job="t",pod!~"{"x" * 3000}"}}'
    with fake_reader.read(dataset(query), DAY, scratch) as stream:
        assert sum(batch.num_rows for batch in stream.batches) == 5760
    posted = [request for request in fake.scripted.requests if request.method == "POST"]
    paths = {f"/prefix/api/v1/{name}" for name in ("query_range", "labels")}
    assert {request.path for request in posted} == paths
    assert all("x" * 3000 in str(request.params) for request in posted)
