"""Rollups of collections whose values drift in type, against MongoDB's aggregation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import Decimal128
from support.both_sides import left_out, plain
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import connect
from lake.servers import start

FIRST = Day.parse("2026-07-05")
# Of each day: fields of its documents, one document a minute.
USAGE: list[list[dict[str, Any]]] = [
    [  # an error is a document, or text; audio has parts of a millisecond
        {"error": {"stage": "LLM"}, "tts": {"audioLengthMs": 0.4}},
        {"error": {"stage": "TTS"}, "tts": {"audioLengthMs": 1.4}},
        {"error": "timeout", "tts": {"audioLengthMs": Decimal128("2.5")}},
        {"tts": {"audioLengthMs": 3}},
    ],
    [  # tokens are mostly text; the whole of `llm` once
        {"llm": {"promptTokens": "many"}},
        {"llm": {"promptTokens": "few"}},
        {"llm": {"promptTokens": 5}},
        {"llm": "none"},
    ],
    [{"llm": {"promptTokens": 7, "other": other}} for other in (1, 2, "three")],
]
MINUTES = [{"requestCount": 1, "totalLatencyMs": 0.4} for _ in range(10)]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Any]]:
    folder: Path = tmp_path_factory.mktemp("drift")
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        sections = f'[sources.mongo]\nuri = "{uri}"\ndatabase = "miyou"\n[hot]\nmongo = 10000\n'
        for name in ("usage_analytics", "metrics_rollups"):
            sections += f'[[dataset]]\nname = "{name}"\nsource = "mongo"\ncollection = "{name}"\n'
        place = Place(folder, sections)
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            database = client["miyou"]
            for number, fields in enumerate(USAGE):
                database["usage_analytics"].insert_many(at(FIRST.plus(number), fields))
            database["metrics_rollups"].insert_many(at(FIRST, MINUTES))
            for number in range(len(USAGE)):
                place.export("usage_analytics", FIRST.plus(number))
            place.export("metrics_rollups", FIRST)
            yield place, database


def at(day: Day, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"timestamp": day.start + timedelta(minutes=number), **document}
        for number, document in enumerate(fields)
    ]


def total(database: Any, collection: str, value: Any, day: Day) -> float:
    match = {"$match": {"timestamp": {"$gte": day.start, "$lt": day.end}}}
    group = {"$group": {"_id": None, "total": {"$sum": value}}}
    ((answer),) = database[collection].aggregate([match, group])
    return plain(answer["total"])


@pytest.mark.parametrize(
    ("collection", "measure", "field"),
    [
        ("metrics_rollups", "latency_ms_sum", "$totalLatencyMs"),
        ("usage_analytics", "audio_ms", "$tts.audioLengthMs"),
    ],
)
def test_milliseconds_are_not_rounded_one_by_one(sides, collection, measure, field) -> None:
    place, database = sides
    with connect(place.settings) as lake:
        sql = f"SELECT sum({measure}) AS total FROM {collection}_hourly WHERE day = '{FIRST}'"
        (row,) = lake.rows(sql)
    assert row["total"] == pytest.approx(total(database, collection, field, FIRST))


ERRORS = {"$cond": [{"$gt": ["$error", None]}, 1, 0]}


@pytest.mark.parametrize("number", range(len(USAGE)))
def test_what_the_table_leaves_out_is_reported(sides, number) -> None:
    """A rollup is made of columns: of what they leave out the answer has a note."""
    place, database = sides
    day = FIRST.plus(number)
    with connect(place.settings) as lake:
        between = f"usage_analytics_hourly_between('{day}', '{day.plus(1)}')"
        answer = lake.ask(f"SELECT sum(errors), sum(prompt_tokens) FROM {between}")
        ((errors, tokens),) = answer.rows
        rows = lake.ask("SELECT count(*) FROM usage_analytics_hourly")
    missing = left_out([note.replace(" of usage_analytics", "") for note in answer.notes])
    assert errors + missing.get("error", 0) == total(database, "usage_analytics", ERRORS, day)
    source_tokens = total(database, "usage_analytics", "$llm.promptTokens", day)
    assert tokens == source_tokens or missing.get("llm.promptTokens") == 1
    # `llm.other` is in no measure.
    assert missing == ({"error": 1}, {"llm": 1, "llm.promptTokens": 1}, {})[number]
    assert rows.left_out == ()
