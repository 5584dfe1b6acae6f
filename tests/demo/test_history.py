"""The demo's history tells the same in every rendering, for each day by itself."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import bson
import pytest

from lake.base.day import Day
from lake.config.settings import Settings
from lake.demo.datasets import demo_datasets
from lake.demo.dialogue import STAGES, TTS, Request, requests_of
from lake.demo.documents import COLLECTIONS, documents_of
from lake.demo.logs import lines_of
from lake.demo.metrics import MetricsDay, SeriesDay, metrics_of
from lake.demo.scenario import Scenario, is_weekend

QUARTER = Scenario(Day.parse("2026-05-02"), 92)
MINUTE_MS = 60_000
# One, two and three days have the deploy and the outage on the same day; nine do not.
WINDOWS = [
    Scenario(Day.parse("2026-02-28"), 1),
    Scenario(Day.parse("2026-12-31"), 2),
    Scenario(Day.parse("2026-06-29"), 3),
    Scenario(Day.parse("2026-03-01"), 9, seed=7),
    Scenario(Day.parse("2026-03-01"), 2, scale=5),
]
windows = pytest.mark.parametrize("scenario", WINDOWS, ids=lambda s: f"{s.days}-days-{s.scale}")


def test_the_scale_multiplies_requests_and_users():
    day = Day.parse("2026-07-01")
    plain, tenfold = (requests_of(Scenario(day, 1, scale=scale), day) for scale in (1, 10))
    assert 8 < len(tenfold) / len(plain) < 12
    users = [len({request.user_id for request in requests}) for requests in (plain, tenfold)]
    assert 7 < users[1] / users[0] < 13


class Totals(NamedTuple):
    requests: int
    errors: int
    tokens: int


def grown(series: SeriesDay, scrapes: int) -> float:
    """A counter's increase over the day, from the day's own samples, resets corrected."""
    steps = pairwise(series.values(scrapes))
    return sum(after - before if after >= before else after for before, after in steps)


def by_counters(day: MetricsDay) -> Totals:
    def total(name: str, label: str = "") -> float:
        return sum(
            grown(series, len(day.scrapes))
            for series in day.series
            if series.name == name and label in series.labels
        )

    requests = "http_server_requests_seconds_count"
    return Totals(
        int(total(requests)),
        int(total(requests, 'outcome="SERVER_ERROR"')),
        int(total("llm_tokens_total")),
    )


def by_lines(scenario: Scenario, day: Day, requests: list[Request]) -> Totals:
    streams = lines_of(scenario, day, requests)
    entries = [
        json.loads(line.text)
        for stream, lines in streams.items()
        for line in lines
        if stream.container == "miyou-api"
    ]
    finished = [entry for entry in entries if entry["message"] == "request finished"]
    access = [
        line.text
        for stream, lines in streams.items()
        for line in lines
        if stream.container == "gateway" and "POST /api" in line.text
    ]
    assert Counter(entry["requestId"] for entry in finished) == Counter(
        text.rpartition("rid=")[2] for text in access
    )
    return Totals(
        len(finished),
        sum(entry["status"] >= 500 for entry in finished),
        sum(entry["totalTokens"] for entry in finished),
    )


def by_documents(requests: list[Request]) -> dict[str, Totals]:
    documents = documents_of(requests)
    usage, runs, minutes, stages = (documents[name] for name in COLLECTIONS)
    assert sum(stage["count"] for stage in stages) == sum(len(run["stages"]) for run in runs)
    assert sum(stage["totalLatencyMs"] for stage in stages) == sum(
        stage["durationMs"] for run in runs for stage in run["stages"]
    )
    tokens = sum(document["llm"].get("totalTokens", 0) for document in usage)
    return {
        "usage_analytics": Totals(len(usage), sum("error" in d for d in usage), tokens),
        "performance_metrics": Totals(
            len(runs), sum(run["status"] == "FAILED" for run in runs), tokens
        ),
        "metrics_rollups": Totals(
            sum(minute["requestCount"] for minute in minutes),
            sum(minute["errorCount"] for minute in minutes),
            sum(minute["totalTokens"] for minute in minutes),
        ),
        "stage_performance_rollups": Totals(
            sum(stage["count"] for stage in stages if stage["stage"] == STAGES[0]),
            sum(stage["errorCount"] for stage in stages),
            tokens,
        ),
    }


@windows
def test_every_source_tells_each_days_totals(scenario: Scenario) -> None:
    for measured in metrics_of(scenario):
        requests = requests_of(scenario, measured.day)
        expected = Totals(
            len(requests),
            sum(request.failure is not None for request in requests),
            sum(request.total_tokens for request in requests),
        )
        totals = by_documents(requests) | {
            "prometheus": by_counters(measured),
            "loki": by_lines(scenario, measured.day, requests),
        }
        assert expected.requests > 50
        assert set(totals.values()) == {expected}, (str(measured.day), totals)


@windows
def test_latencies_and_audio_agree_too(scenario: Scenario) -> None:
    for measured in metrics_of(scenario):
        documents = documents_of(requests_of(scenario, measured.day))
        spoken = [d["tts"] for d in documents["usage_analytics"] if "tts" in d]
        sums = Counter[str]()
        for series in measured.series:
            sums[series.name] += round(grown(series, len(measured.scrapes)) * 1000)
        latency = sum(d["response"]["totalLatencyMs"] for d in documents["usage_analytics"])
        assert sums["http_server_requests_seconds_sum"] == latency
        assert sums["dialogue_pipeline_duration_seconds_sum"] == latency
        assert sums["tts_synthesis_seconds_sum"] == sum(tts["synthesisTimeMs"] for tts in spoken)
        assert sums["tts_audio_chunks_total"] == 1000 * sum(tts["audioChunks"] for tts in spoken)


@windows
def test_nothing_of_a_request_leaves_its_day(scenario: Scenario) -> None:
    for day in scenario.each_day():
        requests = requests_of(scenario, day)
        last_scrape = scenario.scrapes(day)[-1]
        assert all(day.start_ms <= r.started_ms < r.finished_ms <= last_scrape for r in requests)
        for documents in documents_of(requests).values():
            assert all(day.start <= document["timestamp"] < day.end for document in documents)
        for lines in lines_of(scenario, day, requests).values():
            assert all(day.start_ns <= line.ts_ns < day.end_ns for line in lines)


@windows
def test_no_two_streams_hold_the_same_line_at_one_instant(scenario: Scenario) -> None:
    """Loki 2.2 returns one of them only."""
    for day in scenario.each_day():
        streams = lines_of(scenario, day, requests_of(scenario, day)).values()
        distinct = [{(line.ts_ns, line.text) for line in lines} for lines in streams]
        assert len(set().union(*distinct)) == sum(map(len, distinct)) == sum(map(len, streams))


@windows
def test_counters_start_again_at_the_two_restarts_only(scenario: Scenario) -> None:
    fallen = set()
    end: dict[str, float] = {}
    for measured in metrics_of(scenario):
        for series in measured.series:
            if series.name.endswith(("_max", "_active")):
                continue
            values = series.values(len(measured.scrapes))
            key = series.name + series.labels
            assert values[0] == end.get(key, 0), "a day begins where the one before ended"
            end[key] = values[-1]
            for number, (before, after) in enumerate(pairwise(values), start=1):
                if after < before:
                    assert after == 0
                    fallen.add(measured.scrapes[number])
    outage = scenario.outage
    after_deploy = scenario.deploy_day.start_ms + (5 * 60 + 31) * MINUTE_MS
    assert fallen == {after_deploy, outage.up_ms}


@windows
def test_the_outage_is_the_only_gap_between_scrapes(scenario: Scenario) -> None:
    scrapes = [at for day in scenario.each_day() for at in scenario.scrapes(day)]
    gaps = {at: after - at for at, after in pairwise(scrapes) if after - at != MINUTE_MS}
    assert gaps == {scenario.outage.down_ms: 10 * MINUTE_MS}
    assert scrapes[0] == scenario.first.start_ms
    assert scrapes[-1] == scenario.end.start_ms - MINUTE_MS


@windows
def test_histograms_are_cumulative(scenario: Scenario) -> None:
    day = next(iter(metrics_of(scenario)))
    last = {s.name + s.labels: s.values(len(day.scrapes))[-1] for s in day.series}
    families = 0
    for key, count in last.items():
        name, _, labels = key.partition("{")
        if name.endswith("_count") and f"{name.removesuffix('_count')}_sum{{{labels}" in last:
            bucket_name = name.removesuffix("_count") + "_bucket"
            fixed = set(labels.rstrip("}").split(","))
            buckets = {
                pair.partition('le="')[2].rstrip('"'): value
                for other, value in last.items()
                if other.startswith(bucket_name + "{")
                for pair in set(other.partition("{")[2].rstrip("}").split(",")) - fixed
                if set(other.partition("{")[2].rstrip("}").split(",")) - {pair} == fixed
            }
            if not buckets:
                assert name.startswith("tts_")  # a timer without buckets
                continue
            families += 1
            ordered = [buckets[bound] for bound in sorted(buckets, key=float)]
            assert ordered == sorted(ordered)
            assert buckets["+Inf"] == count
    assert families == 15


def test_a_history_is_a_function_of_seed_and_window() -> None:
    scenario = WINDOWS[2]
    day = scenario.first.plus(1)
    requests = requests_of(scenario, day)
    again = replace(scenario)
    assert requests_of(again, day) == requests
    assert documents_of(requests_of(again, day)) == documents_of(requests)
    assert lines_of(again, day, requests) == lines_of(scenario, day, requests)
    assert list(metrics_of(again)) == list(metrics_of(scenario))
    assert requests_of(replace(scenario, seed=1), day) != requests


@pytest.fixture(scope="module")
def quarter() -> dict[Day, list[Request]]:
    return {day: requests_of(QUARTER, day) for day in QUARTER.each_day()}


def test_a_quarter_grows_and_keeps_its_rhythm(quarter: dict[Day, list[Request]]) -> None:
    sizes = {day: len(requests) for day, requests in quarter.items()}
    assert 250 <= sum(sizes.values()) / 92 <= 400
    days = list(sizes)
    first, last = (sum(sizes[day] for day in part) for part in (days[:28], days[-28:]))
    assert 1.25 < last / first < 1.75
    weekend = [size for day, size in sizes.items() if is_weekend(day)]
    weekdays = [size for day, size in sizes.items() if not is_weekend(day)]
    assert sum(weekend) / len(weekend) > 1.1 * sum(weekdays) / len(weekdays)
    hours = Counter(
        request.started_ms // 3_600_000 % 24
        for requests in quarter.values()
        for request in requests
    )
    assert sum(hours[hour] for hour in range(10, 14)) > 5 * sum(hours[h] for h in range(17, 21))


def test_the_deploy_slows_speech_synthesis_and_nothing_else(
    quarter: dict[Day, list[Request]],
) -> None:
    durations: dict[tuple[str, bool], list[int]] = {}
    for requests in quarter.values():
        for request in requests:
            after = request.started_ms >= QUARTER.deploy.stop_ms
            assert request.release == ("2.4.0" if after else "2.3.1")
            for stage in request.stages:
                if not stage.failed:
                    durations.setdefault((stage.name, after), []).append(stage.duration_ms)

    def mean(name: str, *, after: bool) -> float:
        values = durations[name, after]
        return sum(values) / len(values)

    slower = {name: mean(name, after=True) / mean(name, after=False) for name in STAGES}
    assert 1.4 < slower.pop(TTS) < 1.7
    assert all(0.95 < ratio < 1.05 for ratio in slower.values()), slower


def test_the_outage_is_a_burst_of_errors(quarter: dict[Day, list[Request]]) -> None:
    outage = QUARTER.outage
    during = [
        request
        for request in quarter[QUARTER.outage_day]
        if outage.start_ms <= request.started_ms < outage.end_ms
    ]
    failed = sum(request.failure is not None for request in during)
    assert failed > 25
    assert failed > len(during) / 2
    other = [r for day, rs in quarter.items() if day != QUARTER.outage_day for r in rs]
    assert 0.005 < sum(r.failure is not None for r in other) / len(other) < 0.025


def test_documents_are_what_a_java_service_writes(quarter: dict[Day, list[Request]]) -> None:
    documents = documents_of(quarter[QUARTER.outage_day])
    usage = [bson.decode(bson.encode(document)) for document in documents["usage_analytics"]]
    good = next(document for document in usage if "error" not in document)
    assert type(good["llm"]["promptTokens"]) is int  # int32
    assert type(good["llm"]["completionTimeMs"]) is bson.Int64
    assert type(good["cost"]["totalCredits"]) is float
    assert {"language", "release"} == good["client"].keys()
    failed = {d["error"]["code"]: d for d in usage if "error" in d}
    assert {"LLM_UNAVAILABLE", "LLM_TIMEOUT"} <= failed.keys()
    assert all("tts" not in document for document in failed.values())
    assert failed["LLM_TIMEOUT"]["llm"].keys() == {"model"}
    before = documents_of(quarter[QUARTER.first])["usage_analytics"]
    assert all("client" not in document for document in before)
    for name, of_name in documents.items():
        assert len({document["_id"] for document in of_name}) == len(of_name), name
    emoji = next(d["input"] for d in usage if "😊" in d["input"]["text"])
    assert emoji["length"] == len(emoji["text"]) + emoji["text"].count("😊")  # UTF-16


def test_log_lines_are_few_streams_in_order_without_repetition(
    quarter: dict[Day, list[Request]],
) -> None:
    day = QUARTER.outage_day
    streams = lines_of(QUARTER, day, quarter[day])
    assert len({tuple(stream.labels.items()) for stream in streams}) == len(streams) <= 12
    for stream, lines in streams.items():
        times = [line.ts_ns for line in lines]
        assert times == sorted(times)
        assert len({(line.ts_ns, line.text) for line in lines}) == len(lines), stream
        assert all(ns % 1_000_000 for ns in times), "never a whole millisecond"
    traces = next(
        lines for stream, lines in streams.items() if stream == ("miyou-pipeline", "error")
    )
    heads = [number for number, line in enumerate(traces) if "stage failed" in line.text]
    assert len(heads) == sum(request.failure is not None for request in quarter[day])
    assert len(traces) == 8 * len(heads)
    for number in heads:
        trace = traces[number : number + 8]
        assert trace[-1].text == "\t... 3 more"
        assert trace[-1].ts_ns - trace[0].ts_ns == 3
    requests = {request.request_id: request.trace_id for request in quarter[day]}
    tagged = [line.metadata for lines in streams.values() for line in lines if line.metadata]
    assert {m["request_id"]: m["trace_id"] for m in tagged} == requests


def test_metrics_are_about_a_hundred_and_forty_series() -> None:
    day = next(iter(metrics_of(WINDOWS[0])))
    assert 120 <= len(day.series) <= 160
    assert len({series.name + series.labels for series in day.series}) == len(day.series)
    assert day.samples == 1431 * len(day.series)


def test_the_datasets_are_valid_configuration() -> None:
    settings = Settings.model_validate(
        {
            "lake": {"root": "lake"},
            "sources": {
                "mongo": {"uri": "mongodb://127.0.0.1", "database": "miyou"},
                "prometheus": {"url": "http://127.0.0.1:9090"},
                "loki": {"url": "http://127.0.0.1:3100"},
            },
            "dataset": demo_datasets(),
        }
    )
    assert [dataset.name for dataset in settings.dataset] == [
        *COLLECTIONS,
        "http_server_requests",
        "dialogue_metrics",
        "container_logs",
    ]
