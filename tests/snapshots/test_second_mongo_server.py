"""FerretDB, another server that speaks MongoDB's protocol: the same commands, the same answers.

The oracles are what was inserted and FerretDB's own documents; bson_values compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pymongo
import pytest
from bson import json_util
from support.answers import mongo_database
from support.on_request import needed
from support.places import DAY, TODAY

from lake.servers import start
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader

HOUR = timedelta(hours=1)
NOON = DAY.start + 12 * HOUR
VALUES: list[Any] = [
    1, bson.Int64(2**53 + 1), -(2**31), 0.5, 1e300, "text", "日本", "", True, None, NOON,
    datetime(1, 1, 1, tzinfo=UTC), bson.ObjectId(), bson.Binary(b"\0\1"), bson.Timestamp(5, 1),
    bson.Regex("^a", "i"), {}, {"deep": {"n": 1, "s": "x"}}, {"deep": {"n": 1.5, "s": 2}},
    [], [1, "x", None, 2.5], [NOON, {"at": NOON}], [{"n": 1}, {"n": "one"}],
]  # fmt: skip
OF_DAY = [
    {"_id": number, "timestamp": DAY.start + number * HOUR, "v": value, "in": {"v": value}}
    for number, value in enumerate(VALUES)
]
# Of other days and of none, by timestamp.
OTHERS: list[dict[str, Any]] = [
    {"_id": "before", "timestamp": DAY.start - HOUR / 3_600_000},
    {"_id": "end", "timestamp": DAY.end},
    {"_id": "missing"},
    {"_id": "null", "timestamp": None},
    {"_id": "text", "timestamp": "2026-07-01"},
    {"_id": "array", "timestamp": [NOON]},
    {"_id": bson.ObjectId.from_datetime(NOON)},
    {"_id": bson.ObjectId.from_datetime(NOON + HOUR), "timestamp": [NOON]},
]
# By in.at: the third is inside an array, the fourth is one.
NESTED: list[dict[str, Any]] = [
    {"_id": 1, "in": {"at": NOON}},
    {"_id": 2, "in": {"at": DAY.end}},
    {"_id": 3, "in": [{"at": NOON}]},
    {"_id": 4, "in": {"at": [NOON]}},
    {"_id": 5, "in": {"at": "noon"}},
    {"_id": 6},
]


@pytest.fixture(scope="module")
def ferretdb() -> Iterator[str]:
    needed("ferretdb")
    with start(["ferretdb"]) as stack:
        uri = stack.endpoints["ferretdb"]["uri"]
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.app.events.insert_many(OF_DAY + OTHERS)
            client.app.events.create_index("timestamp")
            client.app.nested.insert_many(NESTED)
        yield uri


@pytest.fixture
def here(place, ferretdb):
    return place(
        sources__mongo={"uri": ferretdb, "database": "app"},
        snapshots__mongo={"tool": "native"},
        dataset=[{"name": "events", "source": "mongo", "collection": "events"}],
    )


def ordered(lines: str) -> dict[Any, bytes]:
    """A document's bytes by its `_id`; fields sorted, at each level."""
    documents = [json_util.loads(line) for line in lines.splitlines()]
    return {document["_id"]: bson.encode(by_name(document)) for document in documents}


def by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: by_name(value[name]) for name in sorted(value)}
    return [by_name(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_day_is_exported_verified_and_given_back(here, lake, ferretdb):
    config = ("--config", str(here.config))
    code, _, err = lake("export", "events", "--day", str(DAY), *config)
    assert code == 0, err
    code, out, err = lake("verify", "--deep", *config)
    assert code == 0, (out, err)
    code, out, err = lake("status", "--json", "--day", str(DAY), *config)
    assert code == 0, err
    status = json.loads(out)["datasets"][0]
    shown = status["days"][str(DAY)]
    assert (shown["rows"], shown["source_count"]) == (len(OF_DAY), len(OF_DAY))
    assert status["undated"] == 6
    code, out, err = lake("documents", "events", "--day", str(DAY), *config)
    assert code == 0, err
    inserted = {document["_id"]: bson.encode(by_name(document)) for document in OF_DAY}
    assert ordered(out) == inserted
    question = {"timestamp": {"$gte": DAY.start, "$lt": DAY.end}, "_id": {"$type": "number"}}
    with pymongo.MongoClient[dict[str, Any]](ferretdb) as client:
        answer = client.app.events.find(question)
        assert {document["_id"]: bson.encode(by_name(document)) for document in answer} == inserted


@pytest.mark.parametrize(
    ("fields", "of_day", "undated", "outside"),
    [
        ({"collection": "events"}, len(OF_DAY), 6, 2),
        ({"collection": "events", "time_fallback": "_id"}, len(OF_DAY) + 2, 4, 2),
        ({"collection": "nested", "time_field": "in.at"}, 1, 4, 1),
    ],
)
def test_documents_are_counted_in_and_out_of_a_day(ferretdb, fields, of_day, undated, outside):
    dataset = MongoDataset(name="d", source="mongo", **fields)
    reader = MongoReader(MongoSource(uri=ferretdb, database="app", timeout_s=20))
    assert reader.count(dataset, DAY).rows == of_day
    assert reader.undated(dataset) == undated
    assert reader.outside(dataset, DAY, TODAY) == outside
    reader.close()


def test_a_snapshot_comes_back_in_the_usual_server(here, ferretdb):
    expected = mongo_database(ferretdb, "app")
    here.take("mongo")
    here.restore("mongo")
    with here.served("mongo") as served:
        restored = mongo_database(served.endpoint["uri"], "app")
    assert set(restored) == {"events", "nested"}
    for name in restored:
        assert restored[name]["documents"] == expected[name]["documents"]
        assert set(restored[name]["indexes"]) == set(expected[name]["indexes"])
