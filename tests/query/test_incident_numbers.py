"""`lake incident`: identifiers that are numbers, against MongoDB's own comparison of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import Decimal128, Int64
from support.rolled_lake import Place

from lake.base.day import Day
from lake.incident.gathering import Inquiry, gather
from lake.query import Lake, connect
from lake.query.spellings import same_number
from lake.servers import start

FIRST = Day.parse("2026-07-05")
EXACT = 2**53
# Of each day, the identifiers: a document a minute.
DAYS: list[list[Any]] = [
    [1e20, 1.0, -0.0, 0.1, 1e23, 1.5e300, float(EXACT), 123456789012345680.0, 7.5e-7, 7.25],
    [1, 0, Int64(EXACT), Int64(EXACT + 1), Int64(2**63 - 1), -5],
    [Decimal128("1.00"), Decimal128("0.1"), Decimal128("-5.0"), Decimal128("1E+20")],
    ["1", "1.0", "1e20", "100000000000000000000", "007", "12e3"],
    [[1.0, 2], [3], [1e20, 0.5]],
    [["1", "x"], ["1.0"]],
    [{"id": 1}],
    [1, 1.5, Decimal128("2.50")],
    [True],
]
REQUESTS = [
    *("1", "1.0", "+1", "1e0", "0.1e1", "01"),
    *("1e20", "1E+20", "100000000000000000000", "1e23", "99999999999999991611392"),
    *("0", "-0", "0.0", "-5", "-5.00", "0.1", ".1", "0.10000000000000001", "7.5e-7"),
    *("9007199254740992", "9007199254740993", "9007199254740992.0", "9223372036854775807"),
    *("123456789012345680", "1.5e300", "7", "7.25", "1.5", "2.5", "0.5", "12000", "12e3", "1."),
]
SEVERAL = ["1", "1e20", "0", "0.1", "2.5"]
NO_NUMBERS = ["1e400", "1e9999", "-1e9999", "nan", "1_000", "\u0663", ".", "e5"]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Any]]:
    folder: Path = tmp_path_factory.mktemp("numbers")
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        sections = f"""
[sources.mongo]
uri = "{uri}"
database = "d"
[hot]
mongo = 10000
[incident]
ids = ["key"]
text_fields = ["n"]
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""
        place = Place(folder, sections)
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            collection = client["d"]["events"]
            for number, values in enumerate(DAYS):
                day = FIRST.plus(number)
                collection.insert_many(
                    {"timestamp": day.start + timedelta(minutes=minute), "n": minute, "key": value}
                    for minute, value in enumerate(values)
                )
                place.export("events", day)
            with connect(place.settings) as lake:
                yield lake, collection


def expected(collection: Any, request: str, day: Day) -> list[int]:
    """By MongoDB: the text, or the number as an integer, a double or a decimal."""
    conditions: list[dict[str, Any]] = [{"key": request}]
    if request not in NO_NUMBERS:
        number = Decimal(request)
        is_exact = request.lstrip("+-").isdigit()
        if number == int(number) and abs(number) < 2**63:
            conditions.append(typed(Int64(int(number)), "int", "long"))
        if not is_exact or int(float(number)) == number:
            conditions.append(typed(float(number), "double"))
        conditions.append(typed(Decimal128(number), "decimal"))
    during = {"timestamp": {"$gte": day.start, "$lt": day.end}}
    documents = collection.find({"$and": [during, {"$or": conditions}]}).sort("timestamp")
    return [document["n"] for document in documents]


def typed(value: Any, *types: str) -> dict[str, Any]:
    """Numbers of different types are compared one by one: this server takes the double 0.1 for the
    decimal.
    """
    return {"$and": [{"key": value}, {"key": {"$type": list(types)}}]}


def shown(lake: Lake, inquiry: Inquiry) -> list[int]:
    return [json.loads(event.text)["n"] for event in gather(lake, inquiry).events]


@pytest.mark.parametrize("request_", [*REQUESTS, *NO_NUMBERS])
def test_a_number_in_any_spelling(sides: tuple[Lake, Any], request_: str) -> None:
    lake, collection = sides
    turn = [*REQUESTS, *NO_NUMBERS].index(request_) % len(DAYS)
    for number, values in enumerate(DAYS):
        day = FIRST.plus(number)
        # Of the days without such a document, one: all have many others, and each has its turn.
        if (wanted := expected(collection, request_, day)) or number == turn:
            events = shown(lake, Inquiry(None, timedelta(minutes=15), request_, day))
            assert events == wanted, (day, values)


@pytest.mark.parametrize("request_", SEVERAL)
def test_the_same_over_days_of_several_types(sides: tuple[Lake, Any], request_: str) -> None:
    lake, collection = sides
    turn = SEVERAL.index(request_) + 2  # pairs that differ from request to request
    for first in range(len(DAYS) - 1):
        days = [FIRST.plus(first), FIRST.plus(first + 1)]
        both = [n for day in days for n in expected(collection, request_, day)]
        # Of the pairs without such a document, only one each, in turn.
        if both or first == turn:
            events = shown(lake, Inquiry(days[1].start, timedelta(hours=12), request_))
            assert events == both, (request_, DAYS[first : first + 2])


def test_another_spelling_is_no_other_identifier() -> None:
    assert same_number("1e20", "100000000000000000000.0")
    assert not same_number("a", "a")
    assert not same_number("1e20", "1e21")
