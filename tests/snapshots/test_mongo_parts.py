"""What a MongoDB dump is made of, without any server: metadata, archives, buckets, whole days."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mongo_archives import crc64, described, written
from support.places import DAY, TODAY

from lake.base.errors import BadData
from lake.config.settings import Settings
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading.elements import MalformedError
from lake.systems.mongo.restored import compose_service, next_steps
from lake.systems.mongo.snapshot.archive import MongoArchive
from lake.systems.mongo.snapshot.buckets import (
    CompressedError,
    TimeSeriesShape,
    buckets,
    measurements,
)
from lake.systems.mongo.snapshot.crc64 import crc64 as compiled_crc64
from lake.systems.mongo.snapshot.days import (
    Candidates,
    Kept,
    ttl_of,
    whole_days,
    whole_without_datasets,
)
from lake.systems.mongo.snapshot.metadata import PLAIN, dumps, loads

NAMES = ["$regex", "$options", "$ne", "$type", "$exists", "$gt", "$in", "a"]
VALUES = st.one_of(
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Int64),
    st.floats(allow_nan=False),
    st.sampled_from(["string", "^/api", "i", "2026-07-01"]),
    st.binary(max_size=4).map(lambda raw: Binary(raw, 4 if len(raw) == 16 else 128)),
    st.integers(-(1 << 60), 1 << 60).map(DatetimeMS),
    st.sampled_from(
        [
            ObjectId("0" * 24), Regex("^a", "im"), Timestamp(5, 6), MinKey(), MaxKey(),
            Code("f()"), Code("f()", {"x": 1}), Decimal128("1.10"), Decimal128("NaN"),
        ]
    ),
)  # fmt: skip
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_definitions_come_back_byte_for_byte(value):
    """Query operators are none of Extended JSON's wrappers, though json_util takes them for it."""
    document = {"collectionName": "c", "options": {"validator": value}}
    raw = bson.encode(document, codec_options=PLAIN)
    again = loads(dumps(bson.decode(raw, codec_options=PLAIN)))
    assert bson.encode(again, codec_options=PLAIN) == raw


def test_operators_of_views_and_validators():
    match = {
        "path": {"$regex": "^/api", "$ne": "/api/health"},
        "n": {"$regex": "a", "$options": "i"},
    }
    metadata = {"collectionName": "v", "options": {"pipeline": [{"$match": match}]}}
    assert loads(dumps(metadata)) == metadata
    assert loads('{"collectionName": "c", "x": {"$date": "2026-07-01T00:00:00Z"}}')["x"] == (
        DatetimeMS(datetime(2026, 7, 1, tzinfo=UTC))
    )


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_the_checksum_is_that_of_ecma_182(data, other):
    assert compiled_crc64(data) == crc64(data)
    assert compiled_crc64(other, compiled_crc64(data)) == crc64(data + other)


def test_the_checksum_of_the_catalogue():
    assert compiled_crc64(b"123456789") == 0x995DC9BBDF1939FA


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "system.js"]), st.integers(0, 5)), max_size=8))
def test_interleaved_blocks_are_sorted_out(tmp_path_factory, cut):
    number, blocks, expected = 0, [], {"a": [], "b": [], "system.js": []}
    for name, size in cut:
        documents = [{"_id": number + more, "x": "y" * more} for more in range(size)]
        number += size
        blocks.append(("app", name, documents))
        expected[name] += [bson.encode(document) for document in documents]
    path = tmp_path_factory.mktemp("archive") / "x.archive.gz"
    path.write_bytes(written([described("app", name) for name in expected], blocks))
    sorted_out = {name: [] for name in expected}
    with MongoArchive(path) as archive:
        assert [collection.name for collection in archive.collections] == list(expected)
        for (database, name), documents in archive.documents():
            assert database == "app"
            sorted_out[name] += documents
    assert sorted_out == expected


def _damaged(archive: bytes, how: str) -> bytes:
    data = bytearray(gzip.decompress(archive))
    at = data.index(b"witness")
    if how == "byte":
        data[at] ^= 1
    elif how == "cut":
        del data[at + 60 :]
    elif how == "magic":
        data[0] ^= 1
    elif how == "end":
        del data[data.rindex(b"\xff\xff\xff\xff", 0, -4) + 4 :]
    else:
        return archive[: len(archive) // 2]
    return gzip.compress(bytes(data))


@pytest.mark.parametrize("how", ["byte", "cut", "magic", "end", "gzip"])
def test_a_damaged_archive_is_no_archive(tmp_path, how):
    rows = [{"_id": number, "x": "witness"} for number in range(50)]
    archive = written([described("app", "a"), described("app", "b")], [("app", "a", rows)])
    path = tmp_path / "x.archive.gz"
    path.write_bytes(_damaged(archive, how))
    with pytest.raises(BadData, match="not a whole mongodump archive") as failed:  # noqa: SIM117
        with MongoArchive(path) as opened:
            list(opened.documents())
    assert failed.value.parts["where"] == str(path)


SERIES = {"timeField": "t", "metaField": "where", "granularity": "seconds"}
START = DAY.start_ms
ROWS = st.fixed_dictionaries(
    {
        "_id": st.integers(0, 10_000),
        "t": st.integers(START - 10_000_000, START + 10_000_000).map(DatetimeMS),
        "where": st.sampled_from(["a", "b", 1, {"host": "x"}]),
    },
    optional={
        "v": st.one_of(
            st.integers(-5, 5), st.floats(allow_nan=True, width=16),
            st.integers(-(1 << 62), 1 << 62).map(Int64), st.text(max_size=2),
            st.sampled_from([Decimal128("0.1"), Decimal128("NaN"), None, True]),
        ),
        "deep": st.sampled_from([{"a": 1}, {"a": 2}, [1], Binary(b"x", 5)]),
        "w": st.none() | st.booleans(),
    },
)  # fmt: skip


def raws(rows) -> list[bytes]:
    return [bson.encode(row, codec_options=PLAIN) for row in rows]


def fields(raw: bytes) -> tuple:
    """A measurement without its order: MongoDB does not keep it either."""
    document = bson.decode(raw, codec_options=PLAIN)
    return tuple(sorted((name, bson.encode({"": value})) for name, value in document.items()))


def rank(value) -> tuple:
    """Numbers by their value, NaN before all of them; of other types only equal ones meet."""
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return (1, type(value).__name__, str(value))
    return (0, -math.inf) if math.isnan(value) else (0, value)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=40))
def test_measurements_become_buckets_and_come_back(rows):
    shape = TimeSeriesShape.of(SERIES)
    documents = raws(rows)
    packed = list(buckets(documents, shape))
    assert packed == list(buckets(documents, shape))  # the same bytes
    unpacked = [measurement for bucket in packed for measurement in measurements(bucket, shape)]
    assert Counter(map(fields, unpacked)) == Counter(map(fields, documents))
    ids = set()
    for raw in packed:
        bucket = bson.decode(raw, codec_options=PLAIN)
        ids.add(bucket["_id"])
        control, own = (
            bucket["control"],
            [
                bson.decode(measurement, codec_options=PLAIN)
                for measurement in measurements(raw, shape)
            ],
        )
        start = int(control["min"]["t"])
        assert start % 60_000 == 0
        assert bucket["_id"].generation_time.timestamp() * 1000 == start
        times = [int(measurement["t"]) for measurement in own]
        assert all(start <= at < start + 3_600_000 for at in times)
        assert int(control["max"]["t"]) == max(times)
        assert {repr(measurement.get("where")) for measurement in own} == {repr(bucket.get("meta"))}
        for name in ("_id", "v", "w"):  # MongoDB skips buckets by these bounds
            values = [measurement[name] for measurement in own if name in measurement]
            if values:
                ranks = sorted(map(rank, values))
                assert rank(control["min"][name]) == ranks[0]
                assert rank(control["max"][name]) == ranks[-1]
    assert len(ids) == len(packed)


def test_a_large_series_fills_few_buckets():
    rows = [{"t": DatetimeMS(START + number * 1000), "v": number / 3} for number in range(7200)]
    packed = list(buckets(raws(rows), TimeSeriesShape.of({"timeField": "t"})))
    assert len(packed) == 8  # of 1000 measurements; an hour has 3600
    assert all("meta" not in bson.decode(bucket) for bucket in packed)


def test_what_is_no_series():
    shape = TimeSeriesShape.of(SERIES)
    with pytest.raises(MalformedError, match="without a date"):
        list(buckets([bson.encode({"t": 5})], shape))
    compressed = {"_id": ObjectId(), "control": {"version": 2}, "data": {"t": Binary(b"x", 7)}}
    with pytest.raises(CompressedError, match="version 2"):
        list(measurements(bson.encode(compressed), shape))


def site(hot: int = 90) -> Settings:
    return Settings.model_validate({"lake": {"root": "x"}, "hot": {"mongo": hot}})


def kept(before: dict, after: dict | None = None, ttl_s: int | None = None) -> Kept:
    dataset = MongoDataset(name="d", source="mongo", collection="d", time_field="at")
    return Kept(dataset, before, before if after is None else after, ttl_s)


def held(kept_documents: Kept, exported: dict | None = None, hot: int = 90) -> list[int]:
    """How many days ago: 1 is yesterday."""
    among = Candidates({"d": exported or {}}, TODAY.plus(-60), TODAY)
    now = TODAY.start + timedelta(hours=2)
    return [day.days_until(TODAY) for day in whole_days(site(hot), among, [kept_documents], now)]


def ago(**counts: int) -> dict:
    return {TODAY.plus(-int(name[1:])): count for name, count in counts.items()}


def test_whole_days_reach_from_the_first_document_to_yesterday():
    assert held(kept(ago(d4=5, d2=1))) == [4, 3, 2, 1]  # a day without documents, too


def test_a_collection_without_documents_proves_no_day():
    """It may have been emptied; only the lake's partitions show that a day had no rows."""
    assert held(kept({})) == []
    assert held(kept({}), ago(d3=5, d2=0, d1=1)) == [2]
    among = Candidates({"d": {}}, TODAY.plus(-60), TODAY)
    now = TODAY.start + timedelta(hours=2)
    assert whole_days(site(), among, [], now) == []
    assert whole_days(site(), among, [kept(ago(d3=1)), kept({})], now) == []


def test_a_day_of_which_the_lake_has_more_is_not_whole():
    days_ago = held(kept(ago(d4=5, d3=5, d2=5, d1=5)), ago(d4=5, d3=6, d2=4))
    assert days_ago == [4, 2, 1]


def test_what_vanished_during_the_dump_is_not_whole():
    assert held(kept(ago(d3=5, d2=5), after=ago(d3=4, d2=9))) == [2, 1]


def test_a_ttl_index_removes_parts_of_old_days():
    three_days = 3 * 86_400
    assert held(kept(ago(d5=5, d4=5, d2=5), ttl_s=three_days)) == [2, 1]
    # The lake's word counts where there is nothing to remove.
    assert held(kept(ago(d5=5, d2=5), ttl_s=three_days), ago(d5=5, d4=0)) == [4, 2, 1]


def test_without_an_index_the_hot_days_count():
    assert held(kept(ago(d9=5, d2=5)), hot=4) == [3, 2, 1]


def test_every_dataset_has_to_have_the_day():
    now = TODAY.start + timedelta(hours=2)
    among = Candidates({"d": {}}, TODAY.plus(-60), TODAY)
    both = [kept(ago(d3=1)), kept(ago(d5=1), ttl_s=2 * 86_400 + 7200)]
    assert whole_days(site(), among, both, now) == [TODAY.plus(-2), TODAY.plus(-1)]


def test_without_datasets_the_day_that_ended_last_is_held():
    day, hour = TODAY.plus(-1), 3600
    ended = TODAY.start + timedelta(hours=2)
    assert whole_without_datasets([], day, ended) == [day]
    assert whole_without_datasets([26 * hour], day, ended) == [day]
    assert whole_without_datasets([90 * hour, 25 * hour], day, ended) == []


def test_which_index_makes_documents_expire():
    indexes = [
        {"key": {"at": 1}, "expireAfterSeconds": 60},
        {"key": {"other": 1}, "expireAfterSeconds": 5},
        {"key": {"at": -1}, "expireAfterSeconds": 2_147_483_647},
    ]
    assert ttl_of("at", {}, indexes) == 60
    assert ttl_of("at", {}, indexes[1:]) is None
    assert ttl_of(None, {}, indexes) == 5
    series = {"timeseries": {"timeField": "at"}, "expireAfterSeconds": 9}
    assert ttl_of("at", series, []) == 9
    assert ttl_of(None, series, indexes) == 5
    assert ttl_of("other", series, []) is None


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), None, "soon"])
def test_a_limit_that_is_no_number_is_the_shortest_unless_there_is_none(limit):
    indexes = [{"key": {"at": 1}, "expireAfterSeconds": limit}]
    assert ttl_of("at", {}, indexes) == (None if limit is None else 0)


def test_compose_loads_documents_that_are_older_than_their_validator(tmp_path):
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/a b.archive.gz").touch()
    (hook,) = compose_service(tmp_path)["post_start"]
    assert "--bypassDocumentValidation --archive=/dump/'a b.archive.gz'" in hook["command"][-1]


def test_the_printed_address_names_the_database_as_a_uri_has_it():
    uri, spring, shell = next_steps("mongodb://127.0.0.1:1", "데이터+%41")
    address = "mongodb://127.0.0.1:1/%EB%8D%B0%EC%9D%B4%ED%84%B0%2B%2541"
    assert (uri, spring, shell) == (
        f"point a service at it: {address}",
        f"  with Spring Boot: SPRING_DATA_MONGODB_URI={address}",
        f"or look yourself: mongosh {address}",
    )
