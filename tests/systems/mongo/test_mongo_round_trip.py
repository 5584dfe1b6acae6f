"""Whatever a day's documents are, they come back out of Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from support.bson_values import plain
from support.mongo_tables import stream
from support.strategies import (
    DAY_START_MS,
    Value,
    array,
    date,
    document,
    integer,
    odd_days,
    sayable_days,
    string,
)

from lake.partition.parquet import write_parquet
from lake.systems.mongo.reading import schema
from lake.systems.mongo.reading.rebuild import rebuild

NESTED: Value = (0x04, array([(0x03, document([(b"a", integer(1))]))]))


def _document(*fields: tuple[bytes, Value]) -> bytes:
    return document([(b"_id", integer(7)), (b"timestamp", date(DAY_START_MS)), *fields])


class RoundTrip:
    """Documents to Parquet and back, by pyarrow and by DuckDB."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._folder = folder
        self._connection = connection
        self._trips = 0
        self.left_out: dict[str, int] = {}

    def __call__(self, documents: list[bytes], time_field: str = "timestamp") -> pa.Table:
        sink = io.BytesIO()
        made = stream(documents, time_field)
        write_parquet(made, sink)
        self.left_out = made.details["left_out"]
        self._trips += 1  # DuckDB remembers files by their names
        path = self._folder / f"{self._trips}" / "day=2026-07-01" / "data.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(sink.getvalue())
        table = pq.ParquetFile(path).read()
        table.validate(full=True)
        wanted = [plain(document) for document in documents]
        rebuilt = [rebuild(row, table.schema) for row in table.to_pylist()]
        assert [plain(document) for document in rebuilt] == wanted
        answer = self._by_duckdb(path)
        assert answer.schema.names == [*table.schema.names, "day"]
        rebuilt = [rebuild(row, table.schema) for row in answer.to_pylist()]
        assert [plain(document) for document in rebuilt] == wanted
        return table

    def _by_duckdb(self, path: Path) -> pa.Table:
        question = "SELECT * FROM read_parquet(?, hive_partitioning = true)"
        return self._connection.execute(question, [str(path)]).to_arrow_table()


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundTrip]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield RoundTrip(tmp_path_factory.mktemp("round_trip"), connection)


_quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@given(odd_days)
@_quick
def test_any_day_comes_back(round_trip: RoundTrip, documents: list[bytes]) -> None:
    round_trip(documents)


@pytest.mark.slow
@given(sayable_days)
@_quick
def test_a_day_that_extended_json_can_say_needs_no_raw(
    round_trip: RoundTrip, documents: list[bytes]
) -> None:
    table = round_trip(documents)
    assert table["_raw"].null_count == len(documents)


@pytest.mark.parametrize("levels", [11, 12, 60, 199, 250])
def test_deep_documents(round_trip: RoundTrip, levels: int) -> None:
    value = (0x02, string(b"deep"))
    for level in range(levels):
        value = (0x04, array([value])) if level % 5 == 4 else (0x03, document([(b"m", value)]))
    round_trip([_document((b"top", value), (b"n", integer(1)))] * 2)


def test_a_wide_collection_keeps_its_commonest_columns(round_trip: RoundTrip) -> None:
    common = [(b"common%d" % i, integer(i)) for i in range(20)]
    documents = [
        _document(*((b"key%d_%d" % (row, i), integer(i)) for i in range(400)), *common)
        for row in range(6)
    ]
    table = round_trip(documents)
    assert {f"common{i}" for i in range(20)} < set(table.schema.names)
    assert table.num_columns == 1000 + 2
    rest = json.loads(table["_rest"][5].as_py())
    assert rest == {f"key5_{i}": {"$numberInt": str(i)} for i in range(400)}


def test_an_object_with_data_for_names_keeps_its_commonest_members(round_trip: RoundTrip) -> None:
    def by_user(row: int) -> Value:
        members = [(b"user%d" % i, integer(i)) for i in range(200 * row, 200 * row + 200)]
        return (0x03, document([*members, (b"region", (0x02, string(b"eu")))]))

    rows = 20
    documents = [_document((b"m", by_user(row)), (b"n", integer(1))) for row in range(rows)]
    table, left_out = round_trip(documents), round_trip.left_out
    assert table.schema.field("m").type.num_fields == 256
    assert [m["region"] for m in table["m"].to_pylist()] == ["eu"] * rows
    assert left_out == {"m.*": rows * 200 - 255}


def test_names_that_differ_in_case_only(round_trip: RoundTrip) -> None:
    """The commonest spelling has the column, at the top and in a STRUCT."""

    def row(name: bytes) -> bytes:
        return _document((name, integer(1)), (b"s", (0x03, document([(name, integer(2))]))))

    table = round_trip([row(b"userid"), *[row(b"userId")] * 5, row(b"USERID")])
    assert table.schema.names == ["_id", "timestamp", "s", "userId", "_rest", "_raw"]
    assert table["userId"].to_pylist() == [None, *[1] * 5, None]
    assert table["s"].to_pylist() == [None, *[{"userId": 2}] * 5, None]
    assert round_trip.left_out == {"userid": 1, "USERID": 1, "s.userid": 1, "s.USERID": 1}


def test_the_commonest_leaves_of_very_many(round_trip: RoundTrip) -> None:
    inner = (0x03, document([(b"i%d" % i, integer(i)) for i in range(80)]))
    outer = (0x03, document([(b"o%d" % i, inner) for i in range(80)]))
    plain_row = _document((b"n", (0x03, document([(b"k", integer(1))]))))
    table = round_trip([_document((b"m", outer)), plain_row, plain_row])
    members = table.schema.field("m").type
    assert sum(member.type.num_fields for member in members) == 4000 - 3
    assert table["n"].to_pylist() == [None, {"k": 1}, {"k": 1}]
    assert sum(round_trip.left_out.values()) == 6400 - 3997


def test_more_paths_than_are_learned(
    round_trip: RoundTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_MAX_PATHS", 20)
    rows = [
        _document(*((b"f%d" % (row % 3 * 8 + i), integer(row)) for i in range(8)), (b"l", NESTED))
        for row in range(9)
    ]
    table = round_trip(rows)
    assert {"f0", "f7"} < set(table.schema.names)
    assert "f23" not in table.schema.names


def test_large_values(round_trip: RoundTrip) -> None:
    documents = [_document((b"s", (0x02, string(b"x" * 3_000_000)))) for _ in range(8)]
    documents += [_document((b"l", (0x04, array([integer(i) for i in range(50_000)]))))]
    table = round_trip(documents)
    assert table["_rest"].null_count == 9


def test_bytes_that_are_no_bson_are_kept_as_they_are() -> None:
    good = _document((b"n", integer(1)))
    for place in range(4, len(good) - 1):
        for byte in (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0xFF):
            broken = good[:place] + bytes([byte]) + good[place + 1 :]
            answer = stream([good, broken, good])
            table = pa.Table.from_batches(list(answer.batches), answer.schema)
            row = table.to_pylist()[1]
            if row["_raw"] is None:
                assert plain(rebuild(row, table.schema)) == plain(broken)
            else:
                assert row["_raw"] == broken
