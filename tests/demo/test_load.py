"""The demo's history in real servers: each answers with what the generator says happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pymongo
import pytest
import requests

from lake.base.day import Day
from lake.base.errors import Refused
from lake.demo import totals
from lake.demo.dialogue import Request, requests_of
from lake.demo.documents import COLLECTIONS, documents_of
from lake.demo.load import SOURCES, LoadedHistory, load
from lake.demo.logs import lines_of
from lake.demo.metrics import metrics_of
from lake.demo.scenario import Scenario
from lake.servers import Binary, start

pytestmark = pytest.mark.slow
SCENARIO = Scenario(Day.parse("2026-06-30"), 2)  # deploy and outage on the second day
# Before 2.6 a sum over several streams counts some lines twice.
BY_STREAM = "sum by (container, level, service)"


@dataclass(frozen=True)
class Filled:
    endpoints: dict[str, dict[str, str]]
    loaded: LoadedHistory
    progress: list[tuple[str, int, int]]

    def prometheus(self, query: str, at_ms: int) -> list[dict[str, Any]]:
        url = self.endpoints["prometheus"]["url"] + "/api/v1/query"
        answer = requests.get(url, {"query": query, "time": str(at_ms / 1000)}, timeout=30)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def loki(self, query: str, at_ns: int) -> list[dict[str, Any]]:
        url = self.endpoints["loki"]["url"] + "/loki/api/v1/query"
        answer = requests.get(url, {"query": query, "time": str(at_ns)}, timeout=30)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result


@pytest.fixture(scope="module")
def filled(loki_program: Binary) -> Iterator[Filled]:
    # Servers of our own: the names of the demo's database and metrics are not ours to choose.
    with start(SOURCES, programs={"loki": loki_program}) as own:
        progress: list[tuple[str, int, int]] = []
        loaded = load(
            own.endpoints,
            SCENARIO,
            lambda source, done, days: progress.append((source, done, days)),
        )
        yield Filled(own.endpoints, loaded, progress)


@pytest.fixture(scope="module")
def history() -> dict[Day, list[Request]]:
    return {day: requests_of(SCENARIO, day) for day in SCENARIO.each_day()}


def test_progress_is_reported_day_by_day(filled: Filled) -> None:
    assert sorted(filled.progress) == sorted((s, day, 2) for s in SOURCES for day in (1, 2))


def test_mongo_holds_the_documents(filled: Filled, history: dict[Day, list[Request]]) -> None:
    with pymongo.MongoClient(filled.endpoints["mongo"]["uri"]) as client:
        for name in COLLECTIONS:
            collection = client["miyou"][name]
            documents = list(collection.find(sort=[("timestamp", 1), ("_id", 1)]))
            expected = [d for requests in history.values() for d in documents_of(requests)[name]]
            naive = [_without_zone(document) for document in expected]
            assert documents == sorted(naive, key=lambda d: (d["timestamp"], d["_id"]))
            assert filled.loaded.documents[name] == len(expected) > 0
            assert [("timestamp", 1)] in [i["key"] for i in collection.index_information().values()]
    assert filled.loaded.requests == sum(len(requests) for requests in history.values())


def _without_zone(value: Any) -> Any:
    """pymongo gives datetimes back without their zone."""
    if isinstance(value, dict):
        return {key: _without_zone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_zone(item) for item in value]
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def test_prometheus_holds_every_sample(filled: Filled) -> None:
    samples = 0
    for measured in metrics_of(SCENARIO):
        expected = {
            series.name + series.labels: series.values(len(measured.scrapes))
            for series in measured.series
        }
        series_values = {}
        for series in filled.prometheus('{__name__=~".+"}[1d]', measured.day.end_ms - 1):
            labels = dict(series["metric"])
            name = labels.pop("__name__")
            key = name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"
            assert [round(at * 1000) for at, _ in series["values"]] == measured.scrapes
            series_values[key] = [float(value) for _, value in series["values"]]
        assert series_values == expected
        samples += sum(len(values) for values in series_values.values())
    assert filled.loaded.samples == samples
    assert filled.loaded.series == len(expected)


def test_promql_counts_the_requests(filled: Filled, history: dict[Day, list[Request]]) -> None:
    for day, requests_ in history.items():
        # At the day's own scrapes, from 00:00 to 23:59; the gap is what PromQL can't look over.
        grown = 0.0
        for series in filled.prometheus("http_server_requests_seconds_count[1d]", day.end_ms - 1):
            steps = pairwise(float(value) for _, value in series["values"])
            grown += sum(after - before if after >= before else after for before, after in steps)
        assert grown == len(requests_)
        resets = filled.prometheus(
            "max(resets(dialogue_pipeline_duration_seconds_count[1d]))", day.end_ms - 1
        )
        assert resets[0]["value"][1] == ("2" if day == SCENARIO.deploy_day else "0")


def test_loki_holds_every_line(filled: Filled, history: dict[Day, list[Request]]) -> None:
    lines = 0
    for day, requests_ in history.items():
        expected = {
            (stream.container, stream.level): len(entries)
            for stream, entries in lines_of(SCENARIO, day, requests_).items()
        }
        query = f'{BY_STREAM} (count_over_time({{container=~".+"}}[24h]))'
        counts = {
            (row["metric"]["container"], row["metric"]["level"]): int(row["value"][1])
            for row in filled.loki(query, day.end_ns - 1)
        }
        assert counts == expected
        lines += sum(counts.values())
    assert filled.loaded.lines == lines


def test_logql_counts_the_requests(filled: Filled, history: dict[Day, list[Request]]) -> None:
    finished = '{container="miyou-api"} |= "request finished" | json'
    for day, requests_ in history.items():
        tokens = f"{BY_STREAM} (sum_over_time({finished} | unwrap totalTokens [24h]))"
        for query, expected in (
            (f"{BY_STREAM} (count_over_time({finished} [24h]))", len(requests_)),
            (
                f"{BY_STREAM} (count_over_time({finished} | status >= 500 [24h]))",
                sum(request.failure is not None for request in requests_),
            ),
            (tokens, sum(request.total_tokens for request in requests_)),
            ('sum(count_over_time({container="gateway", level="info"}[24h]))', len(requests_)),
        ):
            streams = filled.loki(query, day.end_ns - 1)
            assert sum(float(stream["value"][1]) for stream in streams) == expected, query


def test_a_request_is_found_by_its_id(filled: Filled, history: dict[Day, list[Request]]) -> None:
    assert_found(filled, history, '|= "{0.request_id}"')


@pytest.mark.loki(at_least="3.0")
def test_a_request_is_found_by_its_metadata(
    filled: Filled, history: dict[Day, list[Request]]
) -> None:
    assert_found(filled, history, '| trace_id="{0.trace_id}"')


def assert_found(filled: Filled, history: dict[Day, list[Request]], pipeline: str) -> None:
    day = SCENARIO.outage_day
    failed = next(request for request in history[day] if request.failure)
    query = f'{BY_STREAM} (count_over_time({{service="api"}} {pipeline.format(failed)} [24h]))'
    streams = filled.loki(query, day.end_ns - 1)
    assert sum(int(stream["value"][1]) for stream in streams) == 3  # received, failed, finished


def test_the_servers_answer_the_demos_totals(
    filled: Filled, history: dict[Day, list[Request]]
) -> None:
    expected = totals.Totals(
        sum(map(len, history.values())),
        sum(request.failure is not None for day in history.values() for request in day),
        sum(request.total_tokens for day in history.values() for request in day),
    )
    ends, days = filled.endpoints, list(history)
    assert totals.of_mongo(ends["mongo"]["uri"]) == expected
    assert totals.of_prometheus(ends["prometheus"]["url"], days) == expected
    assert totals.of_loki(ends["loki"]["url"], days) == expected


def test_when_one_loader_fails_the_others_stop(filled: Filled) -> None:
    progress: list[tuple[str, int, int]] = []
    prometheus = filled.endpoints["prometheus"]
    with pytest.raises(Refused, match="no such API"):
        load(
            {**filled.endpoints, "loki": prometheus},  # which knows no push API of Loki's
            Scenario(SCENARIO.end.plus(30), 400),
            lambda source, done, days: progress.append((source, done, days)),
        )
    assert len(progress) < 100
