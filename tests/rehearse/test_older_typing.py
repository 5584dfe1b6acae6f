"""A day that older rules typed, held against a server: its documents count, not its columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymongo
import pytest
from support.command_line import runner
from support.hand_made import HandMadeLake, hand_made_lake
from support.older_typing import DAY, MIDNIGHT, STORED, older_table

from lake.base.day import Day
from lake.partition.ledger import read_manifest
from lake.rehearse.comparing import compare
from lake.systems.comparison import Compared
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading import MongoReader
from lake.systems.mongo.rehearsal import MongoQuestions
from lake.systems.rehearsed import fetched

Collection = pymongo.collection.Collection[dict[str, Any]]


@pytest.fixture
def orders(mongo_uri: str, mongo_database: str) -> Iterator[Collection]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client[mongo_database]["orders"]
        collection.insert_many(STORED)
        yield collection


@pytest.fixture
def lake(tmp_path: Path) -> HandMadeLake:
    made = hand_made_lake(tmp_path, "orders")
    made.put("orders", DAY, older_table())
    return made


@pytest.fixture
def compared(
    lake: HandMadeLake, mongo_uri: str, mongo_database: str, orders: Collection
) -> Callable[[], Compared]:
    """What a rehearsal finds where the restored server is this one."""
    section = MongoSource(uri=mongo_uri, database=mongo_database)

    def now() -> Compared:
        manifest = read_manifest(lake.store, "orders", Day.parse(DAY))
        assert manifest is not None
        reader = MongoReader(section)
        with lake.connect() as session, fetched(lake.store, manifest, session, frozenset()) as part:
            questions = MongoQuestions(section, [part.dataset])
            try:
                return compare(part, reader, questions, datetime.now(UTC), seed=1, samples=9)
            finally:
                questions.close()
                reader.close()

    return now


def test_the_same_documents_are_no_difference(compared: Callable[[], Compared]) -> None:
    result = compared()
    assert result.wrong == 0
    by_question = {check.question: check for check in result.checks}
    assert by_question["all rows, by their fingerprint"].compared == len(STORED)
    # cost, price and s.n: whatever the width and the type of a number.
    assert by_question["the numbers of each field, added up"].compared == 4
    assert by_question["some documents rebuilt, field by field"].compared == len(STORED)


def test_numbers_beside_values_that_no_column_holds(
    compared: Callable[[], Compared], lake: HandMadeLake, orders: Collection
) -> None:
    """The column with a value left out is not summed; the others are, numbers in `_rest` or not."""
    table = older_table()
    rows = [*table.to_pylist(), {"_id": 5, "timestamp": MIDNIGHT, "_rest": '{"cost":"free"}'}]
    lake.put("orders", DAY, pa.Table.from_pylist(rows, table.schema))
    orders.insert_one({"_id": 5, "timestamp": MIDNIGHT, "cost": "free"})
    result = compared()
    assert result.wrong == 0
    (sums,) = [check for check in result.checks if "added up" in check.question]
    assert sums.compared == 3
    assert sums.remark == "not compared, their columns do not hold all values: cost"


@pytest.mark.parametrize(
    ("number", "update"),
    [
        (2, {"$set": {"cost": 2.75}}),  # was in `_rest` only
        (3, {"$set": {"price": 19.99}}),  # another type
        (4, {"$unset": {"cost": ""}}),  # was null
        (1, {"$set": {"l": [2, 1]}}),
    ],
)
def test_a_changed_document_is_a_difference(
    compared: Callable[[], Compared], orders: Collection, number: int, update: dict[str, Any]
) -> None:
    orders.update_one({"_id": number}, update)
    result = compared()
    by_question = {check.question: check for check in result.checks}
    assert by_question["all rows, by their fingerprint"].wrong >= 1
    sampled = by_question.get("some documents rebuilt, field by field")
    assert sampled is None or [
        difference.where.split()[1] for difference in sampled.differences
    ] == [str(number)]


def test_a_missing_document_is_a_difference(
    compared: Callable[[], Compared], orders: Collection
) -> None:
    orders.delete_one({"_id": 1})
    assert compared().wrong


def test_verify_deep_compares_the_documents(
    lake: HandMadeLake,
    orders: Collection,
    mongo_uri: str,
    mongo_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LAKE_SOURCES__MONGO__URI", mongo_uri)
    monkeypatch.setenv("LAKE_SOURCES__MONGO__DATABASE", mongo_database)
    monkeypatch.setenv("LAKE_HOT__MONGO", "10000")
    arguments = ("verify", "orders", "--deep", "--json", "--config", str(lake.config))
    with runner(monkeypatch, capsys) as run:
        status, out, err = run(*arguments)
        (same,) = json.loads(out)["partitions"]
        assert (status, same["problems"], same["older_typing"]) == (0, [], True), err
        orders.update_one({"_id": 3}, {"$set": {"cost": 3.0}})
        status, out, _ = run(*arguments)
    (other,) = json.loads(out)["partitions"]
    assert status == 1
    (problem,) = other["problems"]
    assert "documents" in problem
