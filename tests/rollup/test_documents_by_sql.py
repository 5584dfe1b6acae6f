"""The package's rollups of documents against MongoDB's aggregation, and over drifting days."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pymongo
import pytest
from support.made_partitions import put
from support.rolled_lake import COLLECTION, Place

from lake.base.day import Day
from lake.demo.dialogue import requests_of
from lake.demo.documents import COLLECTIONS, documents_of
from lake.demo.scenario import Scenario
from lake.query import Lake, connect
from lake.rollup.many import roll_up, with_rollups
from lake.servers import start
from lake.trends import ask, trend_named

FIRST = Day.parse("2026-07-05")
DAYS = [FIRST, FIRST.plus(1)]
# The rollup is the collection's, whatever the dataset is called.
NAMES = {name: f"my_{name}" for name in COLLECTIONS}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    scenario = Scenario(FIRST.plus(-4), 7)  # the outage is on its sixth day
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        sections = f'[sources.mongo]\nuri = "{uri}"\ndatabase = "miyou"\n[hot]\nmongo = 10000\n'
        for collection, name in NAMES.items():
            sections += f'[[dataset]]\nname = "{name}"\nsource = "mongo"\n'
            sections += f'collection = "{collection}"\n'
        made = Place(tmp_path_factory.mktemp("documents"), sections)
        with pymongo.MongoClient(uri) as client:
            for day in DAYS:
                for collection, documents in documents_of(requests_of(scenario, day)).items():
                    client["miyou"][collection].insert_many(documents)
                for name in NAMES.values():
                    made.export(name, day)
        made.uri = uri  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def lake(place: Place) -> Iterator[Lake]:
    with connect(place.settings) as session:
        yield session


def aggregated(place: Place, collection: str, *stages: dict) -> list[dict]:
    with pymongo.MongoClient(place.uri) as client:  # type: ignore[attr-defined]
        return list(client["miyou"][collection].aggregate(list(stages)))


HOUR = {"$dateToString": {"date": "$timestamp", "format": "%Y-%m-%dT%H"}}


def test_usage_by_hour_and_model(place: Place, lake: Lake) -> None:
    expected = {
        (group["_id"]["hour"], group["_id"]["model"]): group
        for group in aggregated(
            place,
            "usage_analytics",
            {
                "$group": {
                    "_id": {"hour": HOUR, "model": "$llm.model"},
                    "requests": {"$sum": 1},
                    "errors": {"$sum": {"$cond": [{"$ifNull": ["$error", False]}, 1, 0]}},
                    "prompt_tokens": {"$sum": "$llm.promptTokens"},
                    "completion_tokens": {"$sum": "$llm.completionTokens"},
                    "total_tokens": {"$sum": "$llm.totalTokens"},
                    "total_credits": {"$sum": "$cost.totalCredits"},
                    "latency_ms_sum": {"$sum": "$response.totalLatencyMs"},
                    "audio_ms": {"$sum": "$tts.audioLengthMs"},
                }
            },
        )
    }
    measures = [name for name in next(iter(expected.values())) if name != "_id"]
    sums = ", ".join(f"sum({name}) AS {name}" for name in measures)
    rows = lake.rows(
        f"SELECT strftime(hour, '%Y-%m-%dT%H') AS at_hour, model, {sums} "
        "FROM my_usage_analytics_hourly GROUP BY ALL"
    )
    assert {(row["at_hour"], row["model"]) for row in rows} == expected.keys()
    for row in rows:
        for name in measures:
            value = expected[row["at_hour"], row["model"]][name]
            assert float(row[name]) == pytest.approx(value), (row, name)
    assert sum(row["errors"] for row in rows) > 0


def test_percentiles_by_model_and_week(place: Place, lake: Lake) -> None:
    latencies: dict[str, list[int]] = defaultdict(list)
    for document in aggregated(place, "usage_analytics"):
        latencies[document["llm"]["model"]].append(document["response"]["totalLatencyMs"])
    for quantile in (0.5, 0.95, 0.99):
        rows = lake.rows(
            "SELECT model, sketch_quantile(sketch_merge(latency_ms), $q) AS found "
            "FROM my_usage_analytics_hourly GROUP BY model",
            {"q": quantile},
        )
        assert {row["model"] for row in rows} == latencies.keys()
        for row in rows:
            values = sorted(latencies[row["model"]])
            exact = values[math.floor(quantile * (len(values) - 1))]
            assert row["found"] == pytest.approx(exact, rel=0.0101)


def test_stages(place: Place, lake: Lake) -> None:
    expected = aggregated(
        place,
        "performance_metrics",
        {"$unwind": "$stages"},
        {
            "$group": {
                "_id": {"stage": "$stages.name", "status": "$stages.status"},
                "runs": {"$sum": 1},
                "duration": {"$sum": "$stages.durationMs"},
            }
        },
    )
    rows = lake.rows(
        "SELECT stage, status, CAST(sum(runs) AS BIGINT) AS runs, sum(duration_ms_sum) AS duration "
        "FROM my_performance_metrics_hourly GROUP BY ALL"
    )
    stages = {(row["stage"], row["status"]): (row["runs"], row["duration"]) for row in rows}
    assert stages == {
        (group["_id"]["stage"], group["_id"]["status"]): (group["runs"], group["duration"])
        for group in expected
    }


@pytest.mark.parametrize(
    ("collection", "by", "measures"),
    [
        (
            "metrics_rollups",
            None,
            {
                "requests": "requestCount",
                "errors": "errorCount",
                "total_tokens": "totalTokens",
                "latency_ms_sum": "totalLatencyMs",
            },
        ),
        (
            "stage_performance_rollups",
            "stage",
            {"runs": "count", "errors": "errorCount", "latency_ms_sum": "totalLatencyMs"},
        ),
    ],
)
def test_the_service_s_own_minutes(place, lake, collection, by, measures) -> None:
    sums = {name: {"$sum": f"${field}"} for name, field in measures.items()}
    expected = {
        (group["_id"]["hour"], group["_id"].get("by")): {name: group[name] for name in measures}
        for group in aggregated(
            place,
            collection,
            {"$group": {"_id": {"hour": HOUR, **({"by": f"${by}"} if by else {})}, **sums}},
        )
    }
    columns = ", ".join(f"CAST({name} AS BIGINT) AS {name}" for name in measures)
    rows = lake.rows(
        f"SELECT strftime(hour, '%Y-%m-%dT%H') AS at_hour, {by or 'NULL'} AS by_value, {columns} "
        f"FROM my_{collection}_hourly"
    )
    minutes = {
        (row["at_hour"], row["by_value"]): {name: row[name] for name in measures} for row in rows
    }
    assert minutes == expected


USAGE = """
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "usage"
source = "mongo"
collection = "usage_analytics"
[[dataset]]
name = "pipeline"
source = "mongo"
collection = "performance_metrics"
"""


def test_days_whose_fields_drift(tmp_path: Path) -> None:
    """A field is missing, of another type, has more members, or the day is empty."""
    place = Place(tmp_path, USAGE)
    usage, pipeline = (place.settings.dataset_named(name) for name in ("usage", "pipeline"))
    moment = datetime(2026, 7, 1, 3, 30, tzinfo=UTC)
    days = [FIRST.plus(-4 + number) for number in range(4)]
    stamps = [moment + timedelta(days=number) for number in range(4)]
    put(place.store, usage, days[0], pa.table({
        "timestamp": pa.array([stamps[0]] * 2, pa.timestamp("ms", "UTC")),
        "llm": [{"model": "a", "totalTokens": 5}, {"model": "a", "totalTokens": None}],
        "error": [{"code": "X", "stage": "LLM"}, None],
        "response": [{"totalLatencyMs": 100}, {"totalLatencyMs": 300}],
    }))  # fmt: skip
    put(place.store, usage, days[1], pa.table({  # no tokens, no latency; an error is text
        "timestamp": pa.array([stamps[1]], pa.timestamp("ms", "UTC")),
        "llm": [{"model": "a"}],
        "error": ["boom"],
    }))  # fmt: skip
    put(place.store, usage, days[2], pa.table({  # text, which is no number; doubles; no model
        "timestamp": pa.array([stamps[2]], pa.timestamp("ms", "UTC")),
        "llm": [{"totalTokens": "7"}],
        "response": [{"totalLatencyMs": 250.5}],
        "cost": [{"totalCredits": 1.25}],
    }))  # fmt: skip
    put(place.store, usage, days[3], pa.table({"_id": pa.array([], pa.string())}))
    put(place.store, pipeline, days[0], pa.table({
        "timestamp": pa.array([stamps[0]], pa.timestamp("ms", "UTC")),
        "stages": [[{"name": "LLM", "durationMs": 9, "more": True}, {"name": "TTS"}]],
    }))  # fmt: skip
    put(place.store, pipeline, days[1], pa.table({"stages": ["none"]}))
    put(place.store, pipeline, days[2], pa.table({"stages": [[{"step": "LLM"}, {"step": "TTS"}]]}))
    done = roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1)
    assert [rolled_day.rolled.state for rolled_day in done] == ["made"] * 7
    with connect(place.settings) as lake:
        rows = lake.rows(
            "SELECT day, model, failed_stage, requests, errors, total_tokens, total_credits, "
            "sketch_quantile(latency_ms, 1) AS slowest FROM usage_hourly ORDER BY ALL"
        )
        stages = lake.rows("SELECT day, stage, runs FROM pipeline_hourly ORDER BY ALL")
    assert [tuple(row.values()) for row in rows] == [
        (days[0].date, "a", "LLM", 1, 1, 5, 0.0, pytest.approx(100, rel=0.01)),
        (days[0].date, "a", None, 1, 0, 0, 0.0, pytest.approx(300, rel=0.01)),
        (days[1].date, "a", None, 1, 1, 0, 0.0, None),
        (days[2].date, None, None, 1, 0, 0, 1.25, pytest.approx(250.5, rel=0.01)),
    ]
    assert [(row["stage"], row["runs"]) for row in stages] == [("LLM", 1), ("TTS", 1), (None, 2)]


MODELS = [
    pa.array([5, 6], pa.int64()),
    pa.array([5.0, 6.5]),
    pa.array([Decimal("5.00"), Decimal("6.50")], pa.decimal128(5, 2)),
    pa.array(["5", "6.50"]),  # a text stays
]


@pytest.mark.parametrize("texts", [False, True])
def test_equal_numbers_are_one_group(tmp_path: Path, texts: bool) -> None:
    """Whatever types they have on which days: MongoDB's `$group` has one group of them."""
    place = Place(tmp_path, USAGE)
    usage = place.settings.dataset_named("usage")
    models = MODELS if texts else MODELS[:-1]
    days = [FIRST.plus(number) for number in range(len(models))]
    for day, values in zip(days, models, strict=True):
        ones = pa.array([1, 1])
        names = ["model", "promptTokens", "completionTokens", "totalTokens"]
        llm = pa.StructArray.from_arrays([values, ones, ones, ones], names)
        stamps = pa.array([day.start] * 2, pa.timestamp("ms", "UTC"))
        put(place.store, usage, day, pa.table({"timestamp": stamps, "llm": llm}))
    roll_ups = roll_up(place.settings, place.store, [usage], None, jobs=1)
    assert {rolled_day.rolled.state for rolled_day in roll_ups} == {"made"}
    with connect(place.settings) as lake:
        for first, end in combinations([*days, days[-1].plus(1)], 2):
            expected: Counter[str] = Counter()
            for values in models[days.index(first) : FIRST.days_until(end)]:
                kept = pa.types.is_string(values.type)
                expected.update(str(v) if kept else f"{float(v):g}" for v in values.to_pylist())
            between = f"usage_hourly_between('{first}', '{end}')"
            rows = lake.ask(f"SELECT model, sum(requests) FROM {between} GROUP BY model").rows
            assert dict(rows) == expected, (first, end)
            trend = ask(lake, trend_named("tokens_by_model"), first, end, every="range")
            assert {row[1]: row[2] for row in trend.rows} == expected, (first, end)


@pytest.mark.parametrize("field", ["createdAt", "meta.at"])
def test_hours_are_those_of_the_dataset_s_time_field(tmp_path: Path, field: str) -> None:
    sections = COLLECTION.replace('collection = "calls"', 'collection = "metrics_rollups"')
    place = Place(tmp_path, sections + f'time_field = "{field}"\n')
    dataset = place.settings.dataset_named("calls")
    hours = [FIRST.start + timedelta(hours=hour) for hour in (0, 5, 5)]
    times = pa.array(hours, pa.timestamp("ms", "UTC"))
    name, *members = field.split(".")
    column = pa.StructArray.from_arrays([times], members) if members else times
    put(place.store, dataset, FIRST, pa.table({name: column, "requestCount": [1, 2, 3]}))
    done = roll_up(place.settings, place.store, with_rollups(place.settings, ()), None, jobs=1)
    assert [rolled_day.rolled.state for rolled_day in done] == ["made"]
    sql = "SELECT hour, sum(requests) AS requests FROM calls_hourly GROUP BY ALL ORDER BY ALL"
    with connect(place.settings) as lake:
        rows = [tuple(row.values()) for row in lake.rows(sql)]
    assert rows == [(hours[0], 1), (hours[1], 5)]
    # Rollups by another time field are not today's.
    other = Place(tmp_path, sections + 'time_field = "otherAt"\n')
    with connect(other.settings) as lake:
        assert lake.rows("SELECT count(*) AS rows FROM calls_hourly") == [{"rows": 0}]
