"""Trends of documents whose fields are of other types on some days, against MongoDB."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import Decimal128
from support.both_sides import plain
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import Lake
from lake.servers import start
from lake.trends import Choices, ask, trend_named

FIRST = Day.parse("2026-07-06")  # a Monday
OK, FAILED = {"status": "OK"}, {"status": "FAILED"}
# Of each day: fields of its documents, one document a minute.
USAGE: list[list[dict[str, Any]]] = [
    [
        {
            "userId": "u",
            "llm": {"model": "a", "promptTokens": n, "completionTokens": 1, "totalTokens": n + 1},
            "response": {"totalLatencyMs": n},
        }
        for n in (3, 4, 5)
    ],
    [{"userId": "u", "llm": "none", "response": [n]} for n in (1, 2)],
    [{"userId": 7, "llm": 5, "response": "text"}, {"userId": 7, "llm": 6, "response": "5"}],
    [
        {
            "llm": {"model": "b", "totalTokens": "9"},
            "response": {"totalLatencyMs": Decimal128("2.5")},
        }
    ],
]
STAGES: list[list[dict[str, Any]]] = [
    [{"stages": [{"name": "LLM", **OK, "durationMs": 5}, {"name": "TTS", **FAILED}]}] * 2,
    [{"stages": "none"}],
    [{"stages": {"name": "LLM", **OK, "durationMs": 99}}],
    [{"stages": [{"name": "LLM", **OK, "durationMs": 7.5}, {"name": "TTS", "more": 1}]}],
    [{"stages": []}],
    [{"stages": [{"Name": "LLM"}]}],
]
# On some days the elements are text, or arrays.
OTHER_ELEMENTS: list[list[dict[str, Any]]] = [
    [{"stages": [{"name": "LLM", **OK, "durationMs": 5}, {"name": "TTS", **OK}]}],
    [{"stages": ["LLM", "TTS"]}],
    [{"stages": [{"name": "LLM", **OK, "durationMs": "long", "retries": 1}]}] * 2,
    [{"stages": [[{"name": "LLM"}]]}],
]
OTHER_NAMES: list[list[dict[str, Any]]] = [[{"stages": [{"step": "LLM"}, {"step": "TTS"}]}]]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Any]]:
    folder: Path = tmp_path_factory.mktemp("drift")
    contents = {"usage_analytics": USAGE, "performance_metrics": STAGES, "others": OTHER_NAMES}
    contents["elements"] = OTHER_ELEMENTS
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        sections = f'[sources.mongo]\nuri = "{uri}"\ndatabase = "miyou"\n[hot]\nmongo = 10000\n'
        for name in contents:
            sections += f'[[dataset]]\nname = "{name}"\nsource = "mongo"\ncollection = "{name}"\n'
        place = Place(folder, sections)
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            for name, days in contents.items():
                for number, documents in enumerate(days):
                    day = FIRST.plus(number)
                    client["miyou"][name].insert_many(
                        {"timestamp": day.start + timedelta(minutes=minute), **document}
                        for minute, document in enumerate(documents)
                    )
                    place.export(name, day)
            with Lake(place.settings) as lake:
                yield lake, client["miyou"]


def rows_of(
    lake: Lake, trend: str, days: int, choices: Choices | None = None
) -> list[dict[str, Any]]:
    answer = ask(lake, trend_named(trend), FIRST, FIRST.plus(days), choices)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


@pytest.mark.parametrize("days", [1, 2, 4])
def test_latency(sides, days) -> None:
    lake, database = sides
    latencies: dict[Any, list[float]] = defaultdict(list)
    for document in database["usage_analytics"].find(
        {"timestamp": {"$lt": FIRST.plus(days).start}}
    ):
        of_day = latencies[document["timestamp"].date()]
        if isinstance(response := document["response"], dict):
            of_day.append(plain(response["totalLatencyMs"]))
    assert {row["day"]: row["p50_latency_ms"] for row in rows_of(lake, "daily_requests", days)} == {
        day: statistics.median(values) if values else None for day, values in latencies.items()
    }


@pytest.mark.parametrize("days", [1, 3, 4])
def test_tokens(sides, days) -> None:
    lake, database = sides
    match = {"$match": {"timestamp": {"$lt": FIRST.plus(days).start}}}
    tokens = {"$sum": "$llm.promptTokens"}
    group = {"$group": {"_id": "$llm.model", "requests": {"$sum": 1}, "tokens": tokens}}
    groups = database["usage_analytics"].aggregate([match, group])
    expected = {group["_id"]: (group["requests"], group["tokens"]) for group in groups}
    counts: dict[Any, tuple[int, int]] = {}
    for row in rows_of(lake, "tokens_by_model", days):
        requests, sum_ = counts.get(row["model"], (0, 0))
        counts[row["model"]] = requests + row["requests"], sum_ + row["prompt_tokens"]
    assert counts == expected


@pytest.mark.parametrize("days", [1, 2, 6])
def test_stages(sides, days) -> None:
    """An array that is a sub-document on a day is none; names differ in case by the day."""
    lake, database = sides
    match = {"timestamp": {"$lt": FIRST.plus(days).start}, "stages": {"$type": "array"}}
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in database["performance_metrics"].find(match):
        for stage in document["stages"]:
            runs[stage.get("name", stage.get("Name"))].append(stage)
    expected = {
        name: (
            len(stages),
            sum(stage.get("status") == "FAILED" for stage in stages),
            round(statistics.mean(times), 1) if times else None,
        )
        for name, stages in runs.items()
        for times in [[stage["durationMs"] for stage in stages if "durationMs" in stage]]
    }
    rows = rows_of(lake, "stage_latency", days)
    assert {row["stage"]: (row["runs"], row["failed"], row["avg_ms"]) for row in rows} == expected


def test_stages_without_any_name_that_the_trend_reads(sides) -> None:
    (row,) = rows_of(sides[0], "stage_latency", 1, Choices(dataset="others"))
    assert (row["stage"], row["runs"], row["avg_ms"]) == (None, 2, None)


@pytest.mark.parametrize(
    ("days", "runs"),
    [
        (1, {"LLM": 1, "TTS": 1}),
        (2, {"LLM": 1, "TTS": 1, None: 2}),
        (3, {"LLM": 3, "TTS": 1, None: 2}),
        (4, {"LLM": 3, "TTS": 1, None: 3}),
    ],
)
def test_stages_that_are_no_documents_on_a_day(sides, days, runs) -> None:
    """They have no name; those of other days have theirs, in every range."""
    rows = rows_of(sides[0], "stage_latency", days, Choices(dataset="elements"))
    assert {row["stage"]: row["runs"] for row in rows} == runs
    assert {row["stage"]: row["avg_ms"] for row in rows}["LLM"] == 5
