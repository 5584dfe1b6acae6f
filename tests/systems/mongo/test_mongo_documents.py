"""Documents through a real server, the export and `lake documents`, against the source's own BSON.

What comes back is read by pymongo's own parser of Extended JSON, what was there by this
folder's bson_values: neither knows how the lake stores it.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bson_values import plain
from support.strategies import DAY_START_MS, date, document, integer, odd_days, sayable_days, string

from lake.base.day import Day
from lake.config.settings import Settings
from lake.documents import documents
from lake.export import Exporter
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import schema_to_json
from lake.store import Store, open_store
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader
from lake.systems.mongo.reading.table import DayTable

DAY = Day.parse("2026-07-01")
MIDNIGHT = DAY.start
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    tz_aware=False,
)
EVENTS = MongoDataset(name="events", source="mongo", collection="events")


def read_back(line: str) -> object:
    """A line's document, by pymongo."""
    value = json.loads(line)
    if value.keys() == {"$raw"}:
        return plain(base64.b64decode(value["$raw"]["$binary"]["base64"]))
    return plain(bson.encode(json_util.loads(line, json_options=JSON), codec_options=OPTIONS))


def same(lines: Iterator[str], wanted: list[bytes]) -> list[str]:
    printed = list(lines)
    assert sorted(map(repr, map(read_back, printed))) == sorted(map(repr, map(plain, wanted)))
    return printed


class ThroughServer:
    """Collections of their own on the shared server, exported into a directory."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._uri = uri
        self._folder = folder
        self.client: pymongo.MongoClient[RawBSONDocument] = pymongo.MongoClient(
            uri, document_class=RawBSONDocument
        )
        self.refused = 0

    def __call__(self, given: list[bytes]) -> list[str]:
        """Inserts what the server takes, exports it, compares; returns the lines."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        try:
            return self._exported(given, name)
        finally:
            self.client.drop_database(name)

    def _exported(self, given: list[bytes], name: str) -> list[str]:
        collection = self.client[name]["events"]
        for content in given:
            try:
                collection.insert_one(RawBSONDocument(content))
            except pymongo.errors.PyMongoError:
                self.refused += 1
        section = MongoSource(uri=self._uri, database=name)
        lake = self._folder / name
        configured = Settings(
            lake={"root": str(lake)}, sources={"mongo": section}, dataset=[EVENTS]
        )
        reader = MongoReader(section)
        exporter = Exporter(configured, open_store(configured), {"mongo": reader})
        wanted = [stored.raw for stored in collection.find({})]
        if not wanted:
            return []
        outcome = exporter.export(EVENTS, DAY, allow_shrink=True)
        assert outcome.manifest.rows == outcome.manifest.source_count == len(wanted)
        exporter.close()
        return same(documents(exporter.store, EVENTS, DAY), wanted)


@pytest.fixture(scope="module")
def through_server(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ThroughServer]:
    trip = ThroughServer(mongo_uri, tmp_path_factory.mktemp("lake"))
    yield trip
    trip.client.close()


def with_ids(day: list[bytes]) -> list[bytes]:
    """The strategies' commonest `_id` is one ObjectId: here each has its own."""
    common = b"\x07_id\0" + bytes(12)
    return [
        content.replace(common, b"\x07_id\0" + number.to_bytes(12, "big"), 1)
        for number, content in enumerate(day)
    ]


_few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@given(sayable_days.map(with_ids))
@_few
def test_any_day_through_the_server(through_server: ThroughServer, day: list[bytes]) -> None:
    through_server(day)


@pytest.mark.slow
@given(odd_days.map(with_ids))
@_few
def test_any_odd_day_through_the_server(through_server: ThroughServer, day: list[bytes]) -> None:
    through_server(day)


FIRST, LAST = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
DEEP: dict[str, Any] = {"leaf": 2**53 + 1}
for _level in range(60):
    DEEP = {"m": [DEEP]} if _level % 7 == 6 else {"m": DEEP}
VALUES = [
    None, {}, [], "", "x\0y", "日本", 0, -1, 2**31, bson.Int64(5), 2**53 + 1, -(2**63), 0.5, -0.0,
    5e-324, float("nan"), float("inf"), float("-inf"), True, MIDNIGHT, FIRST,
    LAST, bson.ObjectId(), bson.Decimal128("1.50"), bson.Decimal128("NaN"),
    bson.Decimal128("-0"), bson.Decimal128("9.999999999999999999999999999999999E+6144"),
    bson.Regex("^a.*$", "imsx"), bson.Timestamp(2**32 - 1, 1), bson.MinKey(), bson.MaxKey(),
    bson.Code("f()"), bson.Code("f()", {"x": 1}), bson.DBRef("c", 1), bson.DBRef("c", "i", "db"),
    *(bson.Binary(b"\0" * 16, subtype) for subtype in (0, 1, 3, 5, 6, 128)),
    bson.Binary(b"old", 2), bson.Binary.from_uuid(UUID),
    bson.Binary.from_uuid(UUID, UuidRepresentation.JAVA_LEGACY),
    bson.Binary.from_uuid(UUID, UuidRepresentation.CSHARP_LEGACY), [1, "x", None, {}, [], 2.5],
    [[1], ["x"], []], [{"a": 1}, {"a": "x"}, None], DEEP, {"$raw": 1}, {"a": {"$oid": "x"}},
    {"$date": 5}, {"a.b": 1, "$c": 2, " d ": 3, "": 4, "E": 5, "e": 6}, {"uuid": {"$uuid": "x"}},
]  # fmt: skip


def test_every_type_through_the_server(through_server: ThroughServer) -> None:
    """One field that is of another type in each document, and again nested and in an array."""
    given = [
        bson.encode({"_id": number, "timestamp": MIDNIGHT, "v": value, "n": {"v": value}}
                    | ({"list": [value]} if number % 2 else {"only": number}))
        for number, value in enumerate(VALUES)
    ]  # fmt: skip
    before = through_server.refused
    lines = through_server(given)
    assert len(lines) == len(VALUES) - (through_server.refused - before)
    assert through_server.refused == before


def test_ids_of_any_type_through_the_server(through_server: ThroughServer) -> None:
    ids = [value for value in VALUES if not isinstance(value, list | bson.Regex)]
    lines = through_server(
        [bson.encode({"_id": identifier, "timestamp": MIDNIGHT}) for identifier in ids]
    )
    # An index takes equal numbers for one, and the server refuses names with a dollar.
    assert len(lines) >= 30


def export(given: list[bytes], store: Store, folder: Path) -> None:
    """Answers as a server would give them, for what the real one does not take."""
    with DayTable(EVENTS, DAY, folder) as table:
        table.add(b"".join(given[::2]))
        table.add(b"".join(given[1::2]))
        stream = table.stream()
        key = table_key("events", DAY)
        with store.upload(key) as upload:
            written = write_parquet(stream, upload)
    write_manifest(
        store,
        Manifest(
            dataset="events", day=str(DAY), source="mongo", key=key, rows=written.rows,
            bytes=written.bytes, sha256=written.sha256, source_count=len(given),
            count_method="the test's own", window={}, schema=schema_to_json(written.schema),
            created_at="2026-11-01T00:00:00+00:00", version="0",
        ),
    )  # fmt: skip


def from_answers(given: list[bytes]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, "scratch")
        scratch.mkdir()
        store = open_store(Settings(lake={"root": f"{folder}/lake"}))
        export(given, store, scratch)
        return same(documents(store, EVENTS, DAY), given)


@pytest.mark.slow
@given(st.lists(st.one_of(odd_days, sayable_days), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_answer_comes_back(days: list[list[bytes]]) -> None:
    from_answers([content for day in days for content in day])


def a_document(number: int, *fields: tuple[bytes, tuple[int, bytes]]) -> bytes:
    return document([(b"_id", integer(number)), (b"timestamp", date(DAY_START_MS)), *fields])


@pytest.mark.parametrize(
    "fields",
    [
        [(b"a", integer(1)), (b"a", integer(2))],
        [(b"a", (0x02, string(b"\xff\xfe")))],
        [(b"\xff", integer(1))],
        [(b"a", (0x01, b"\1\0\0\0\0\0\xf8\x7f"))],
        [(b"a", (0x03, document([(b"$oid", (0x02, string(b"x")))])))],
        [(b"a", (0x0E, string(b"symbol")))],
        [(b"$raw", (0x05, b"\0\0\0\0\0"))],
        [(b"$ref", (0x02, string(b"c"))), (b"$id", integer(1))],
    ],
)
def test_what_extended_json_cannot_say_is_a_raw_line(fields: Any) -> None:
    odd, usual = a_document(1, *fields), a_document(2, (b"a", integer(1)))
    lines = from_answers([odd, usual])
    encoded = base64.b64encode(odd).decode()
    assert json.loads(lines[0]) == {"$raw": {"$binary": {"base64": encoded, "subType": "00"}}}
    assert json.loads(lines[1])["a"] == {"$numberInt": "1"}


def test_a_field_called_raw_inside_is_no_raw_line() -> None:
    inner = (0x03, document([(b"$raw", integer(1))]))
    (line,) = from_answers([a_document(1, (b"a", inner))])
    assert json.loads(line)["a"] == {"$raw": {"$numberInt": "1"}}
