"""MongoReader against a real server: which documents a day has, and how many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from support.bson_values import plain
from support.mongo_tables import dataset

from lake.base.day import Day
from lake.base.errors import LakeError, Missing, Refused, TransientError
from lake.base.redaction import register_secret
from lake.servers.ports import free_ports
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader, rebuild
from lake.systems.mongo.reading.reader import _no_date_by_index, is_index_without_arrays

DAY = Day.parse("2026-07-01")
MIDNIGHT = DAY.start
MS = dt.timedelta(milliseconds=1)


@pytest.fixture
def collection(mongo_uri: str, mongo_database: str) -> Iterator[Collection[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        yield client[mongo_database]["events"]


@pytest.fixture
def reader(mongo_uri: str, mongo_database: str) -> Iterator[MongoReader]:
    reader = MongoReader(MongoSource(uri=mongo_uri, database=mongo_database, timeout_s=20))
    yield reader
    reader.close()


class Taken:
    """All of a day: the rows' documents, the table, the stream's description."""

    def __init__(self, reader: MongoReader, settings: MongoDataset, scratch: Path) -> None:
        scratch.mkdir(exist_ok=True)
        with reader.read(settings, DAY, scratch) as self.stream:
            self.table = pa.Table.from_batches(self.stream.batches, self.stream.schema)
        assert not list(scratch.iterdir())
        rows = self.table.to_pylist()
        self.documents = [rebuild(row, self.table.schema) for row in rows]
        self.ids = [bson.decode(document)["_id"] for document in self.documents]


@pytest.fixture
def take(reader: MongoReader, tmp_path: Path) -> Any:
    return lambda **fields: Taken(reader, dataset(**fields), tmp_path / "scratch")


def test_a_day_is_half_open(collection: Any, reader: MongoReader, take: Any) -> None:
    times = [MIDNIGHT - MS, MIDNIGHT, MIDNIGHT + MS, DAY.end - MS, DAY.end]
    collection.insert_many({"_id": i, "timestamp": time} for i, time in enumerate(times))
    taken = take()
    assert taken.ids == [1, 2, 3]
    assert taken.table["timestamp"].to_pylist() == times[1:4]
    assert reader.count(dataset(), DAY).rows == 3
    assert reader.undated(dataset()) == 0


def test_documents_without_a_date_belong_to_no_day(
    collection: Any, reader: MongoReader, take: Any
) -> None:
    around = [MIDNIGHT - dt.timedelta(days=3), MIDNIGHT + dt.timedelta(days=3)]
    none = [None, "2026-07-01", 1_782_864_000_000, [MIDNIGHT], around, {"at": MIDNIGHT}, []]
    none.append(bson.Timestamp(1_782_864_000, 1))
    collection.insert_many([{"timestamp": value} for value in none])
    collection.insert_one({"other": MIDNIGHT})
    collection.insert_one({"_id": "dated", "timestamp": MIDNIGHT})
    assert take().ids == ["dated"]
    assert reader.count(dataset(), DAY).rows == 1
    assert reader.undated(dataset()) == len(none) + 1


def test_the_object_id_stands_in_for_a_date(
    collection: Any, reader: MongoReader, take: Any
) -> None:
    def object_id(time: dt.datetime, last: int) -> bson.ObjectId:
        return bson.ObjectId(bson.ObjectId.from_datetime(time).binary[:-1] + bytes([last]))

    second = dt.timedelta(seconds=1)
    times = [MIDNIGHT, MIDNIGHT + second, DAY.end - second]
    inside = [object_id(time, last) for time, last in zip(times, (0, 255, 9), strict=True)]
    outside = [object_id(MIDNIGHT - second, 255), object_id(DAY.end, 0)]
    collection.insert_many([{"_id": _id, "n": i} for i, _id in enumerate(inside)])
    collection.insert_many([{"_id": _id, "timestamp": "soon"} for _id in outside])
    collection.insert_many([{"_id": "no ObjectId"}, {"_id": 5, "timestamp": None}])
    dated = object_id(MIDNIGHT - dt.timedelta(days=300), 0)
    collection.insert_one({"_id": dated, "timestamp": MIDNIGHT + 5 * second})
    other_day = object_id(MIDNIGHT + second, 7)
    collection.insert_one({"_id": other_day, "timestamp": DAY.end})
    assert take().ids == [dated]
    taken = take(time_fallback="_id")
    assert taken.ids == [inside[0], inside[1], dated, inside[2]]
    assert taken.stream.sorted_by == ()
    settings = dataset(time_fallback="_id")
    assert reader.count(settings, DAY).rows == 4
    assert reader.undated(settings) == 2
    assert reader.undated(dataset()) == 7


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2106-02-07", "2106-02-08"])
def test_days_that_no_object_id_reaches(collection: Any, reader: MongoReader, day: str) -> None:
    collection.insert_many([{"timestamp": Day.parse(day).start}, {}])
    settings = dataset(time_fallback="_id")
    assert reader.count(settings, Day.parse(day)).rows == 1


def test_a_time_field_in_a_sub_document(collection: Any, reader: MongoReader, take: Any) -> None:
    collection.insert_many(
        [
            {"_id": 1, "meta": {"at": MIDNIGHT, "host": "a"}, "Meta": 1},
            {"_id": 2, "meta": {"at": DAY.end}},
            {"_id": 3, "meta": [{"at": MIDNIGHT}]},
            {"_id": 4, "meta": {"at": [MIDNIGHT]}},
            {"_id": 5, "meta": MIDNIGHT},
            {"_id": 6, "meta.at": MIDNIGHT},
            {"_id": 7, "meta": {"at": MIDNIGHT}, "meta.at": DAY.end},
        ]
    )
    taken = take(time_field="meta.at")
    assert taken.ids == [1, 7]
    assert reader.count(dataset(time_field="meta.at"), DAY).rows == 2
    assert reader.undated(dataset(time_field="meta.at")) == 4
    at = taken.table.schema.field("meta").type.field("at")
    assert at.type == pa.timestamp("ms", "UTC")


def test_all_that_a_day_holds_comes_back_in_one_order(
    collection: Any, take: Any, mongo_uri: str
) -> None:
    kinds = [1, 2**60, 1.0, -0.0, float("nan"), "x", None, True, b"\0", bson.ObjectId(), {}, [],
             {"a": 1}, {"a": "x"}, [1, "x"], [{"a": 1}, None, {}], bson.Decimal128("1.50"),
             bson.Regex("a.*", "i"), bson.Timestamp(1, 2), bson.MinKey(), bson.Code("f", {"x": 1}),
             bson.DBRef("c", 5), bson.Binary(b"x", 128), bson.Int64(3), MIDNIGHT, {"$oid": "x"},
             {"$gt": 1}, {"a.b": 1, "": 2}]  # fmt: skip
    documents = [
        {"_id": bson.ObjectId(f"{i:024x}"), "timestamp": MIDNIGHT + (i * 7 % 24) * 12345 * 17 * MS,
         "kind": kinds[i % len(kinds)], "Other": i, "OTHER": str(i), "n": i, "f": i / 2,
         "day": i, "_rest": i, "_raw": None, "list": [str(j) for j in range(i % 4)]}
        for i in range(300)
    ]  # fmt: skip
    collection.insert_many(documents)
    first, second = take(), take()
    assert first.table.schema.equals(second.table.schema, check_metadata=True)
    assert repr(first.table.to_pylist()) == repr(second.table.to_pylist())  # NaN is not NaN
    order = {"timestamp": 1, "_id": 1}
    with pymongo.MongoClient(mongo_uri, document_class=RawBSONDocument) as client:
        raw = client[collection.database.name]["events"].find({}, sort=order)
        assert [plain(document) for document in first.documents] == [plain(d.raw) for d in raw]
    assert set(first.table.schema.names) == {
        "_id", "timestamp", "kind", "OTHER", "n", "f", "list", "_rest", "_raw"
    }  # fmt: skip
    assert first.stream.sorted_by == ("timestamp",)
    details = dict(first.stream.details)
    assert details.pop("pace")["paused_s"] == 0
    # The column holds numbers as doubles, which 2^60 may not be; null is no value.
    held = {repr(kind) for kind in (1, 1.0, -0.0, float("nan"), bson.Decimal128("1.50"), 3)}
    left_out = sum(d["kind"] is not None and repr(d["kind"]) not in held for d in documents)
    assert details == {
        "documents": 300,
        "spooled_bytes": sum(len(bson.encode(document)) for document in documents),
        "documents_with_rest": 300,
        "documents_with_raw": sum(d["kind"] == {"$oid": "x"} for d in documents),
        "typing": 2,
        "left_out": {"Other": 300, "day": 300, "_rest": 300, "kind": left_out},
        "nan": {"kind": sum(repr(document["kind"]) == "nan" for document in documents)},
    }


def test_an_empty_day_has_a_schema(
    collection: Any, reader: MongoReader, mongo_database: str, take: Any
) -> None:
    collection.insert_one({"timestamp": DAY.end, "n": 1})
    taken = take()
    assert taken.table.num_rows == 0
    assert taken.table.schema == pa.schema(
        [
            pa.field("_id", pa.string(), metadata={"bson": "objectId"}),
            ("timestamp", pa.timestamp("ms", "UTC")),
            ("_rest", pa.string()),
            ("_raw", pa.binary()),
        ]
    )
    assert reader.count(dataset(), DAY).rows == 0


def test_a_collection_without_documents(collection: Any, reader: MongoReader, take: Any) -> None:
    collection.database.create_collection("events")
    assert take().table.num_rows == 0
    assert reader.count(dataset(), DAY).rows == 0
    assert reader.undated(dataset()) == 0


def _taken(reader: MongoReader, settings: MongoDataset, scratch: Path) -> None:
    Taken(reader, settings, scratch)


QUESTIONS = [
    _taken,
    lambda reader, settings, _: reader.count(settings, DAY),
    lambda reader, settings, _: reader.undated(settings),
]


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_misspelt_collection(
    collection: Any, reader: MongoReader, tmp_path: Path, ask: Any
) -> None:
    collection.insert_one({"timestamp": MIDNIGHT})
    with pytest.raises(Missing) as raised:
        ask(reader, dataset(collection="event"), tmp_path)
    assert "'event'" in str(raised.value)
    assert "one of events" in str(raised.value)


def _refused(uri: str, kind: type[LakeError], ask: Any, scratch: Path) -> str:
    reader = MongoReader(MongoSource(uri=uri, database="x", timeout_s=1))
    with pytest.raises(kind) as raised:
        ask(reader, dataset(), scratch)
    reader.close()
    return str(raised.value)


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_wrong_password(mongo_uri: str, tmp_path: Path, ask: Any) -> None:
    register_secret("hunter2secret")
    uri = mongo_uri.replace("://", "://nobody:hunter2secret@")
    message = _refused(uri, Refused, ask, tmp_path)
    assert "user name or password" in message
    assert "LAKE_SOURCES__MONGO__URI" in message
    assert "hunter2secret" not in message
    assert "nobody" not in message


@pytest.mark.parametrize("ask", QUESTIONS)
def test_no_server(tmp_path: Path, ask: Any) -> None:
    port = free_ports(["mongo"])["mongo"]
    message = _refused(f"mongodb://127.0.0.1:{port}", TransientError, ask, tmp_path)
    assert f"127.0.0.1:{port}" in message
    assert "uri in [sources.mongo]" in message


def test_a_reader_can_be_closed_and_asked_again(mongo_uri: str) -> None:
    reader = MongoReader(MongoSource(uri=mongo_uri, database="x"))
    reader.close()  # nothing was opened
    with pytest.raises(Missing):
        reader.count(dataset(), DAY)
    reader.close()
    with pytest.raises(Missing):
        reader.count(dataset(), DAY)
    reader.close()


def test_the_question_that_an_index_serves_is_the_same_without_arrays(
    collection: Any, reader: MongoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real server here knows no earlier dates, and no plan that would be believed."""
    monkeypatch.setattr("lake.systems.mongo.reading.reader._FIRST_INSTANT_MS", -62_135_596_800_000)
    far = bson.datetime_ms.DatetimeMS(-62_135_596_800_000)
    dated = [MIDNIGHT, far, DAY.end]
    undated = [None, "x", 5, float("nan"), True, {}, {"a": MIDNIGHT}, bson.MinKey(), bson.MaxKey(),
               bson.Timestamp(1, 1), bson.Regex("a"), bson.ObjectId(), b"x"]  # fmt: skip
    collection.insert_many({"timestamp": value} for value in [*dated, *undated])
    collection.insert_one({})
    assert reader.undated(dataset()) == len(undated) + 1
    query = _no_date_by_index(dataset())
    assert collection.count_documents(query) == len(undated) + 1


SCAN = {"stage": "IXSCAN", "isMultiKey": False, "isSparse": False, "isPartial": False}
FETCH = {"stage": "FETCH", "inputStage": SCAN}


@pytest.mark.parametrize(
    ("planner", "exact"),
    [
        ({"winningPlan": {"stage": "COUNT", "inputStage": FETCH}}, True),
        ({"winningPlan": {"queryPlan": FETCH, "isCached": False}}, True),
        ({"winningPlan": {"stage": "COUNT", "inputStage": {"stage": "COLLSCAN"}}}, False),
        ({"winningPlan": {"stage": "FETCH", "inputStage": SCAN | {"isMultiKey": True}}}, False),
        ({"winningPlan": {"stage": "FETCH", "inputStage": SCAN | {"isSparse": True}}}, False),
        ({"winningPlan": {"stage": "FETCH", "inputStage": SCAN | {"isPartial": True}}}, False),
        ({"winningPlan": {"stage": "OR", "inputStages": [SCAN, {"stage": "COLLSCAN"}]}}, False),
        ({"shards": []}, False),
        (None, False),
    ],
)  # fmt: skip
def test_plans_that_are_believed(planner: Any, exact: bool) -> None:
    assert is_index_without_arrays(planner) is exact


def test_documents_dated_outside_of_a_range(collection, reader):
    """Dates of any year; an array of dates and a missing date are undated, not outside."""
    dates = [dt.datetime(1970, 1, 1), dt.datetime(2062, 3, 4), DAY.start - MS, DAY.end]  # noqa: DTZ001
    inside = [DAY.start, DAY.end - MS]
    collection.insert_many({"timestamp": at} for at in [*dates, *inside])
    collection.insert_many([{"timestamp": dates}, {"timestamp": "1970-01-01"}, {}])
    assert reader.outside(dataset(), DAY, DAY.plus(1)) == len(dates)
    assert reader.outside(dataset(), DAY.plus(-1), DAY.plus(2)) == 2
    assert reader.undated(dataset()) == 3


def test_documents_outside_by_their_object_ids(collection, reader):
    old = bson.ObjectId.from_datetime(DAY.start - MS * 1000)
    new = bson.ObjectId.from_datetime(DAY.start)
    collection.insert_many([{"_id": old}, {"_id": new}, {"timestamp": DAY.start - MS}])
    settings = dataset(time_fallback="_id")
    assert reader.outside(settings, DAY, DAY.plus(1)) == 2
    assert reader.outside(dataset(), DAY, DAY.plus(1)) == 1
