"""Which columns a day gets, and what they hold."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import bson
import duckdb
import pyarrow as pa
import pytest
from bson import Decimal128, Int64, ObjectId, json_util
from support.mongo_tables import stream
from support.strategies import DAY_START_MS, date, decimal, document, integer, string

MIDNIGHT = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
OBJECT_ID = ObjectId("0123456789abcdef01234567")
TIME = pa.timestamp("ms", "UTC")
LIST = pa.list_(pa.field("element", pa.int64()))


def table(*fields: dict[str, Any], time_field: str = "timestamp") -> pa.Table:
    documents = [bson.encode({"_id": 1, "timestamp": MIDNIGHT, **more}) for more in fields]
    answer = stream(documents, time_field)
    return pa.Table.from_batches(answer.batches, answer.schema)


def column(*values: Any) -> tuple[pa.DataType | None, list[Any], list[Any]]:
    """The column's type, its values, and what `_rest` says of the field."""
    made = table(*({"x": value} for value in values))
    rest = [json.loads(text)["x"] if text else None for text in made["_rest"].to_pylist()]
    assert made["_raw"].null_count == len(values)
    if "x" not in made.schema.names:
        return None, [], rest
    return made.schema.field("x").type, made["x"].to_pylist(), rest


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1, pa.int64()),
        (Int64(-(2**63)), pa.int64()),
        (-0.0, pa.float64()),
        (float("inf"), pa.float64()),
        ("日\0x", pa.string()),
        (True, pa.bool_()),
        (MIDNIGHT, TIME),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), TIME),
        (dt.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=dt.UTC), TIME),
        (b"\0\xff", pa.binary()),
        ([1, None, 2**40], LIST),
        ([[1], [], None], pa.list_(pa.field("element", LIST))),
        ({"a": 1, "b": {"c": "x"}}, pa.struct([("a", pa.int64()),
                                               ("b", pa.struct([("c", pa.string())]))])),
    ],
)  # fmt: skip
def test_natural_types(value: Any, type_: pa.DataType) -> None:
    assert column(value) == (type_, [value], [None])


@pytest.mark.parametrize(
    "value",
    [None, {}, [], [None], [1, "x"], {"a": None}, bson.Regex("a"), bson.MinKey(),
     bson.Timestamp(1, 2), bson.Binary(b"x" * 15, 4), bson.DBRef("c", 1), bson.Code("f"),
     bson.Binary(b"x" * 16, 5), Decimal128("NaN"), Decimal128("-0.00"), Decimal128("Infinity"),
     Decimal128("1E+38"), Decimal128("1E-39"), Decimal128("1E+6111"), [1.5, 2**53 + 1],
     bson.datetime_ms.DatetimeMS(253402300800000), [[1], ["x"]], [{"a": None}], [{"a": {}}]],
)  # fmt: skip
def test_what_no_column_holds(value: Any) -> None:
    type_, _, (rest,) = column(value)
    assert type_ is None
    options = json_util.CANONICAL_JSON_OPTIONS
    assert rest == json.loads(json_util.dumps(value, json_options=options))


def test_the_commonest_exact_fit_wins() -> None:
    type_, values, rest = column("x", 1, 2, MIDNIGHT, None, 3)
    assert type_ == pa.int64()
    assert values == [None, 1, 2, None, None, 3]
    assert rest == ["x", None, None, {"$date": {"$numberLong": str(DAY_START_MS)}}, None, None]
    assert column(*["x"] * 3, 1, 2.0, Decimal128("1"), 7)[0] == pa.float64()
    assert column(*["x"] * 3, 1, 2)[0] == pa.string()


def test_an_array_counts_once() -> None:
    type_, values, rest = column([1], [2], ["a", "b", "c"], [], [1, "a"])
    assert type_ == LIST
    assert values == [[1], [2], None, [], None]
    assert rest[2] == ["a", "b", "c"]
    assert rest[4] == [{"$numberInt": "1"}, "a"]
    assert column("x", "y", ["a", 1], [1, "b"], [2, "c"])[0] == pa.string()


def test_elements_of_lists() -> None:
    kind = pa.list_(pa.field("element", pa.struct([("a", pa.int64()), ("b", pa.string())])))
    type_, values, rest = column(
        [{"a": 1, "b": "x"}, None, {}], [{"a": 1, "b": None}], [{"a": "x"}], [{"a": 5, "c": 1}, {}]
    )
    fields = [*kind.value_field.type, pa.field("c", pa.int64())]
    assert type_ == pa.list_(pa.field("element", pa.struct(fields)))
    none = dict.fromkeys("abc")
    assert values[0] == [none | {"a": 1, "b": "x"}, None, none]
    assert values[1:3] == [[none | {"a": 1}], None]
    assert values[3] == [none | {"a": 5, "c": 1}, none]
    assert rest[1] == [{"a": {"$numberInt": "1"}, "b": None}]
    assert rest[2] == [{"a": "x"}]


def test_decimals_of_one_exponent() -> None:
    numbers = ["1.50", "-99999.99", "0.00", "12.00"]
    type_, values, _ = column(*map(Decimal128, numbers))
    assert type_ == pa.decimal128(7, 2)
    assert list(map(str, values)) == numbers
    largest = "9" * 34
    assert column(Decimal128(largest), Decimal128(f"-{largest}"))[:2] == (
        pa.decimal128(34, 0),
        [Decimal(largest), Decimal(f"-{largest}")],
    )
    assert column(Decimal128("1E-38"))[0] == pa.decimal128(38, 38)


def test_decimals_of_several_exponents() -> None:
    numbers = ["19.99", "5.5", "1E+3", "-7", "0E+7"]
    type_, values, rest = column(*map(Decimal128, numbers))
    assert type_ == pa.decimal128(6, 2)
    assert values == list(map(Decimal, numbers))
    assert rest == [None, *({"$numberDecimal": str(Decimal128(n))} for n in numbers[1:])]
    assert column(Decimal128("1.50"), Decimal128("1.500000"))[0] == pa.decimal128(7, 6)


def test_decimals_that_no_precision_holds_together() -> None:
    """The scale with which most fit: 38 digits are too few for all."""
    many = [Decimal128(n) for n in ("1E+30", "2E+30", "3E+30")]
    type_, values, rest = column(*many, Decimal128("0.123456789"))
    assert type_ == pa.decimal128(31, 0)
    assert values == [*(Decimal(10) ** 30 * n for n in (1, 2, 3)), None]
    assert rest[3] == {"$numberDecimal": "0.123456789"}
    padded = [Decimal128("1." + "0" * 33), Decimal128("12345678")]
    assert column(*padded)[:2] == (pa.decimal128(8, 0), [1, 12345678])


def test_object_ids_say_so_at_every_level() -> None:
    made = table({"x": OBJECT_ID, "s": {"o": OBJECT_ID}, "l": [OBJECT_ID], "t": str(OBJECT_ID)})
    metadata = {b"bson": b"objectId"}
    for field in (
        made.schema.field("x"),
        made.schema.field("s").type.field("o"),
        made.schema.field("l").type.value_field,
    ):
        assert (field.type, field.metadata) == (pa.string(), metadata)
    assert made.schema.field("t").metadata is None
    row = made.to_pylist()[0]
    assert (row["x"], row["s"], row["l"]) == (
        str(OBJECT_ID),
        {"o": str(OBJECT_ID)},
        [str(OBJECT_ID)],
    )


UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("subtype", "text", "kind"), [(4, str(UUID), b"uuid"), (3, UUID.hex, b"binary3")]
)
def test_uuids_say_so_at_every_level(subtype: int, text: str, kind: bytes) -> None:
    value = bson.Binary(UUID.bytes, subtype)
    made = table({"x": value, "s": {"x": value}, "l": [value, value]})
    fields = [
        made.schema.field("x"), made.schema.field("s").type.field("x"),
        made.schema.field("l").type.value_field,
    ]  # fmt: skip
    assert [field.type for field in fields] == [pa.string()] * 3
    assert [field.metadata for field in fields] == [{b"bson": kind}] * 3
    (row,) = made.to_pylist()
    assert (row["x"], row["s"], row["l"]) == (text, {"x": text}, [text, text])
    assert (row["_rest"], row["_raw"]) == (None, None)


def test_uuids_beside_others() -> None:
    """Of two subtypes, and of bytes of another length, the commonest has the column."""
    common, other = bson.Binary(UUID.bytes, 4), bson.Binary(UUID.bytes, 3)
    type_, values, rest = column(common, common, other, bson.Binary(b"short", 4), "text")
    assert (type_, values) == (pa.string(), [str(UUID), str(UUID), None, None, None])
    assert [text is None for text in rest] == [True, True, False, False, False]


def test_uuids_join_documents() -> None:
    ids = [bson.Binary(uuid.UUID(int=n).bytes, 4) for n in range(3)]
    users = table(*({"user": identifier, "name": f"u{n}"} for n, identifier in enumerate(ids)))  # noqa: F841
    orders = table(*({"of": ids[n], "cost": n} for n in (2, 2, 0)))  # noqa: F841  DuckDB
    joined = "FROM orders JOIN users ON orders.of = users.user GROUP BY name ORDER BY name"
    assert duckdb.connect().sql(f"SELECT name, sum(cost) {joined}").fetchall() == [
        ("u0", 0),
        ("u2", 4),
    ]


def test_names_that_are_no_columns() -> None:
    fields = {"day": 1, "Day": 2, "_rest": 3, "_RAW": 4, "": 5, "a": 6, "A": 7, "É": 8, "é": 9,
              "_ID": 10, "Timestamp": 11, "x" * 1025: 12,
              "s": {"b": 1, "B": 2, "c": 3, "": 4}}  # fmt: skip
    made = table(fields, {"a": 1, "É": 2, "s": {"b": 3}})
    assert made.schema.names == ["_id", "timestamp", "a", "É", "s", "_rest", "_raw"]
    assert made.schema.field("s").type == pa.struct([("b", pa.int64()), ("c", pa.int64())])
    rest = json_util.loads(made["_rest"][0].as_py())
    taken = {name: value for name, value in fields.items() if name not in ("a", "É")}
    assert rest == {**taken, "s": {"B": 2, "": 4}}
    assert made["_rest"][1].as_py() is None


def test_names_that_are_columns() -> None:
    names = ["a.b", "$x", " ", 'q"', "nl\n", "日本", "filename", "element", "x" * 1024]
    made = table(dict.fromkeys(names, 1) | {"a": {"b": 1}})
    assert made.schema.names == ["_id", "timestamp", *names, "a", "_rest", "_raw"]
    assert made["_rest"].null_count == 1


@pytest.mark.parametrize("name", ["day", "DAY", "_rest"])
def test_a_time_field_with_a_fixed_columns_name(name: str) -> None:
    made = table({name: MIDNIGHT}, time_field=name)
    assert made.schema.names == ["_id", "timestamp", "_rest", "_raw"]
    at_midnight = {"$date": {"$numberLong": str(DAY_START_MS)}}
    assert json.loads(made["_rest"][0].as_py()) == {name: at_midnight}


def test_the_time_field_is_a_timestamp_whatever_it_holds() -> None:
    made = table({"at": "x"}, {"at": 5}, {"Meta": 1, "meta": {"at": "x"}}, time_field="at")
    assert made.schema.names == ["_id", "at", "timestamp", "Meta", "_rest", "_raw"]
    assert made.schema.field("at").type == TIME
    nested = table({"meta": "x"}, {"meta": 5}, {"META": 1}, time_field="meta.at")
    assert nested.schema.field("meta").type == pa.struct([("at", TIME)])


def raw_and_rest(*fields: tuple[bytes, tuple[int, bytes]]) -> tuple[bool, Any]:
    made = document([(b"_id", integer(1)), (b"timestamp", date(DAY_START_MS)), *fields])
    answer = stream([made])
    (row,) = pa.Table.from_batches(answer.batches, answer.schema).to_pylist()
    assert row["_raw"] in (None, made)
    return row["_raw"] is not None, row["_rest"]


OID = (0x03, document([(b"$oid", (0x02, string(b"x")))]))


@pytest.mark.parametrize(
    "fields",
    [
        [(b"a", integer(1)), (b"a", integer(1))],
        [(b"s", (0x03, document([(b"a", integer(1)), (b"a", (0x0A, b""))])))],
        [(b"l", (0x04, document([(b"0", (0x03, document([(b"a", integer(1))] * 2)))])))],
        [(b"l", (0x04, document([(b"1", integer(1))])))],
        [(b"a", OID)],
        [(b"l", (0x04, document([(b"0", OID)])))],
        [(b"$oid", integer(1))],
        [(b"a", (0x03, document([(b"$ref", integer(1)), (b"$id", integer(1))])))],
        [(b"a", (0x02, string(b"\xff")))],
        [(b"\xff", integer(1))],
        [(b"s", (0x03, document([(b"\xff", integer(1))])))],
        [(b"a", (0x01, b"\1\0\0\0\0\0\xf8\x7f"))],
        [(b"a", (0x01, b"\0\0\0\0\0\0\xf8\xff"))],
        [(b"a", (0x08, b"\2"))],
        [(b"a", (0x0B, b"x\0g\0"))],
        [(b"a", (0x0E, string(b"symbol")))],
        [(b"a", (0x06, b""))],
        [(b"a", (0x0C, string(b"c") + bytes(12)))],
        [(b"a", (0x13, decimal(True, 10**34, 0)))],
    ],
)  # fmt: skip
def test_documents_that_extended_json_cannot_say(fields: Any) -> None:
    raw, rest = raw_and_rest((b"x", (0x0A, b"")), *fields)
    assert raw
    assert json.loads(rest)["x"] is None


def test_a_plain_nan_needs_no_raw() -> None:
    assert raw_and_rest((b"a", (0x01, b"\0\0\0\0\0\0\xf8\x7f"))) == (False, None)


def test_encodings_follow_from_the_values() -> None:
    documents = [
        bson.encode({"_id": ObjectId(), "timestamp": MIDNIGHT, "n": i, "unique": f"v{i}",
                     "same": f"v{i % 5}", "random": i / 7, "rate": i % 3 / 2, "a.b": "x",
                     "a": {"b": 1}, "list": ["x"], "map": {"m": f"{i}"}})
        for i in range(500)
    ]  # fmt: skip
    answer = stream(documents)
    assert answer.dictionary == ("same", "rate", "list.list.element", "_rest")
    assert answer.encodings == {
        "_id": "DELTA_BYTE_ARRAY",
        "timestamp": "DELTA_BINARY_PACKED",
        "n": "DELTA_BINARY_PACKED",
        "unique": "DELTA_BYTE_ARRAY",
        "random": "BYTE_STREAM_SPLIT",
        "map.m": "DELTA_BYTE_ARRAY",
    }
