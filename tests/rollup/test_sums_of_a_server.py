"""Sums of shipped rollups and trends against MongoDB's `$sum`, over fields that are not what they
should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import Decimal128, Int64
from support.both_sides import plain
from support.rolled_lake import Place

from lake.base.day import Day
from lake.query import Lake, connect
from lake.servers import start
from lake.trends import ask, trend_named
from lake.verify import to_verify, verify_many

FIRST = Day.parse("2026-07-05")
LARGE = Int64(2**62 + 1)
# Of each day, the values of one field: a document a minute.
DAYS: dict[str, list[Any]] = {
    "whole": [1, 2, Int64(3)],
    "fractions": [1.5, 1.5, 2, 0.4],
    "beyond_64_bits": [LARGE, LARGE, LARGE],
    "beyond_64_bits_below": [-LARGE, -LARGE, -LARGE],
    "booleans": [True, True, False],
    "text": ["7", "8", "many"],
    "decimals": [Decimal128("0.1"), Decimal128("0.2"), Decimal128("1.00")],
    "wide_decimals": [Decimal128("1E+15"), Decimal128("1E-18"), Decimal128("5")],
    "decimals_and_doubles": [Decimal128("0.1"), Decimal128("0.5"), 0.5, 2],
    "whole_again": [10],
    "arrays": [[1, 2], [3]],
    "documents": [{"n": 1}, {"n": 2}],
    "dates": [FIRST.start, FIRST.start],
    "nulls": [None, None],
}
COLLECTIONS = ("usage_analytics", "metrics_rollups", "performance_metrics")


@dataclass(frozen=True)
class Sides:
    place: Place
    lake: Lake
    database: Any

    def expected(self, collection: str, field: str, *stages: dict[str, Any]) -> dict[Day, float]:
        """MongoDB's sum of each day."""
        sums = {}
        for day, name in zip(days(), DAYS, strict=True):
            match = {"$match": {"timestamp": {"$gte": day.start, "$lt": day.end}}}
            # MongoDB's sum is a double there; this server has none.
            value = {"$toDouble": f"${field}"} if name.startswith("beyond") else f"${field}"
            group = {"$group": {"_id": None, "total": {"$sum": value}}}
            (answer,) = self.database[collection].aggregate([match, *stages, group])
            sums[day] = plain(answer["total"])
        return sums


def days() -> list[Day]:
    return [FIRST.plus(number) for number in range(len(DAYS))]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    folder: Path = tmp_path_factory.mktemp("sums")
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        sections = f'[sources.mongo]\nuri = "{uri}"\ndatabase = "miyou"\n[hot]\nmongo = 10000\n'
        for name in COLLECTIONS:
            sections += f'[[dataset]]\nname = "{name}"\nsource = "mongo"\ncollection = "{name}"\n'
        place = Place(folder, sections)
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            database = client["miyou"]
            for day, values in zip(days(), DAYS.values(), strict=True):
                for name in COLLECTIONS:
                    database[name].insert_many(
                        {"timestamp": day.start + timedelta(minutes=minute), **documented(value)}
                        for minute, value in enumerate(values)
                    )
                    assert place.export(name, day).rollup.state == "made"
            with connect(place.settings) as lake:
                yield Sides(place, lake, database)


def documented(value: Any) -> dict[str, Any]:
    """A document of all three collections."""
    return {
        "userId": "u",
        "llm": {"model": "a", "promptTokens": 1, "completionTokens": 1, "totalTokens": value},
        "cost": {"llmCredits": 1, "totalCredits": value},
        "response": {"firstLatencyMs": 1, "totalLatencyMs": value},
        "totalTokens": value,
        "totalLatencyMs": value,
        "stages": [{"name": "LLM", "status": "OK", "durationMs": value}],
    }


@pytest.mark.parametrize(
    ("collection", "measure", "field"),
    [
        ("usage_analytics", "total_tokens", "llm.totalTokens"),
        ("usage_analytics", "total_credits", "cost.totalCredits"),
        ("usage_analytics", "latency_ms_sum", "response.totalLatencyMs"),
        ("metrics_rollups", "total_tokens", "totalTokens"),
        ("metrics_rollups", "latency_ms_sum", "totalLatencyMs"),
        ("performance_metrics", "duration_ms_sum", "stages.durationMs"),
    ],
)
def test_rollups(sides: Sides, collection: str, measure: str, field: str) -> None:
    stages = [{"$unwind": "$stages"}] if collection == "performance_metrics" else []
    expected = sides.expected(collection, field, *stages)
    # Over all days, and each by itself: its own types decide then.
    ranges = [(FIRST, FIRST.plus(len(DAYS))), *((day, day.plus(1)) for day in days())]
    for first, end in ranges:
        sql = f"SELECT day, sum({measure}) FROM {collection}_hourly_between('{first}', '{end}') "
        answer = sides.lake.ask(f"{sql} GROUP BY day")
        sums = {Day(day): total for day, total in answer.rows}
        assert answer.left_out == ()
        for day, total in sums.items():
            assert float(total) == pytest.approx(expected[day], rel=1e-15), day


def test_days_of_whole_numbers_stay_whole(sides: Sides) -> None:
    end = FIRST.plus(1)
    for measure in ("total_tokens", "latency_ms_sum"):
        sql = f"SELECT {measure} FROM metrics_rollups_hourly_between('{FIRST}', '{end}')"
        assert sides.lake.ask(sql).types == ("BIGINT",)


def test_sketches_have_the_numbers(sides: Sides) -> None:
    sql = (
        "SELECT day, CAST(list_sum(map_values(sketch_merge(latency_ms))) AS BIGINT) "
        "FROM usage_analytics_hourly GROUP BY day"
    )
    counted = {Day(day): number or 0 for day, number in sides.lake.ask(sql).rows}
    assert counted == {
        day: sides.database["usage_analytics"].count_documents(
            {
                "timestamp": {"$gte": day.start, "$lt": day.end},
                "response.totalLatencyMs": {"$not": {"$type": "array"}, "$type": "number"},
            }
        )
        for day in days()
    }


@pytest.mark.parametrize("width", [1, 2, len(DAYS)])
def test_trends(sides: Sides, width: int) -> None:
    expected = sides.expected("usage_analytics", "llm.totalTokens")
    for number in range(0, len(DAYS), width):
        first, end = FIRST.plus(number), FIRST.plus(min(number + width, len(DAYS)))
        answer = ask(sides.lake, trend_named("tokens_by_model"), first, end)
        for values in answer.rows:
            row = dict(zip(answer.columns, values, strict=True))
            total = expected[Day(row["day"])]
            assert float(row["total_tokens"]) == pytest.approx(total, rel=1e-15), row
            assert float(row["total_credits"] or 0) == pytest.approx(total, rel=1e-12), row


# Within an array whose elements drift over the lake's days, digits of a text count as a number.
@pytest.mark.parametrize("name", [name for name in DAYS if name != "text"])
def test_averages_of_trends(sides: Sides, name: str) -> None:
    """Of a day's numbers, NULL without any."""
    day = days()[list(DAYS).index(name)]
    (stages,) = ask(sides.lake, trend_named("stage_latency"), day, day.plus(1), every="day").rows
    match = {"$match": {"timestamp": {"$gte": day.start, "$lt": day.end}}}
    value = (
        {"$toDouble": "$stages.durationMs"} if name.startswith("beyond") else "$stages.durationMs"
    )
    group = {"$group": {"_id": None, "average": {"$avg": value}}}
    (answer,) = sides.database["performance_metrics"].aggregate(
        [match, {"$unwind": "$stages"}, group]
    )
    average = answer["average"]
    expected = None if average is None else pytest.approx(plain(average), rel=1e-14, abs=0.05)
    assert stages[2:5] == (len(DAYS[name]), 0, expected)
    (requests,) = ask(sides.lake, trend_named("daily_requests"), day, day.plus(1)).rows
    assert (requests[4] is None) == (average is None)


def test_verify(sides: Sides) -> None:
    place = sides.place
    partitions = to_verify(place.store, place.settings.dataset, None)
    findings = list(verify_many(place.settings, place.store, partitions, None))
    assert [(finding.rollup, finding.problems) for finding in findings] == [("current", ())] * (
        len(DAYS) * len(COLLECTIONS)
    )
