"""A day's numbers in its columns, against Python's own exact arithmetic.

The oracle decodes each document with `bson` and compares as fractions: a column holds every
number that its type holds exactly, and `left_out` counts all others.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import bson
import duckdb
import pyarrow as pa
import pymongo
import pytest
from bson import Decimal128, Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bson_values import plain
from support.mongo_tables import stream

from lake.base.day import Day
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import MongoReader, rebuild

MIDNIGHT = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
_INTS = st.one_of(
    st.integers(-9, 9),
    st.sampled_from([2**53, -(2**53), 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
_DOUBLES = st.one_of(
    st.integers(-9, 9).map(float),
    st.integers(-99, 99).map(lambda n: n / 4),
    st.floats(),
    st.sampled_from([-0.0, math.inf, -math.inf, 2.0**63, -(2.0**63), 2.0**62, 2.0**100, 5e-324]),
)
_DECIMALS = st.one_of(
    st.builds(lambda c, e: Decimal128(Decimal(c).scaleb(e)), st.integers(-999, 999), st.just(-2)),
    st.builds(
        lambda c, e: Decimal128(f"{c}E{e}"),
        st.one_of(st.integers(-999, 999), st.integers(-(10**34) + 1, 10**34 - 1)),
        st.one_of(st.integers(-6, 3), st.integers(-45, 45)),
    ),
    st.sampled_from([Decimal128(n) for n in ("NaN", "Infinity", "-0", "-0.00", "1E+6111")]),
)
_NUMBERS = st.one_of(
    _INTS, _DOUBLES, _DECIMALS, st.sampled_from([1, Int64(2), 2.0, Decimal128("2.5")])
)
_OTHERS = st.sampled_from([None, "x", "2", {}, MIDNIGHT, True])


@st.composite
def days(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Fields with numbers of one, two or all types, and a few other values."""
    kinds = draw(
        st.sampled_from(
            [[_INTS], [_DOUBLES], [_DECIMALS], [_INTS, _DOUBLES], [_INTS, _DECIMALS],
             [_NUMBERS], [_NUMBERS], [_NUMBERS, _OTHERS]]
        )
    )  # fmt: skip
    value = st.one_of(*kinds)
    fields = {
        "x": value,
        "s": st.fixed_dictionaries({}, optional={"x": value, "y": value}),
        "l": st.lists(value, max_size=4),
        "d": st.lists(
            st.fixed_dictionaries({}, optional={"x": value, "s": st.builds(dict, x=value)}),
            max_size=3,
        ),
    }
    document = st.fixed_dictionaries({}, optional=fields)
    return draw(st.lists(document, min_size=1, max_size=9))


def exported(documents: list[dict[str, Any]]) -> tuple[pa.Table, dict[str, int]]:
    raw = [bson.encode({"_id": i, "timestamp": MIDNIGHT, **d}) for i, d in enumerate(documents)]
    answer = stream(raw)
    made = pa.Table.from_batches(answer.batches, answer.schema)
    rebuilt = [rebuild(row, made.schema) for row in made.to_pylist()]
    assert [plain(document) for document in rebuilt] == [plain(document) for document in raw]
    return made, answer.details["left_out"]


def exactly(value: Any) -> Fraction | None:
    """A number as a fraction; None for all else, −0 and what is not finite."""
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
        return None
    return Fraction(value)


def fits(value: Any, type_: pa.DataType) -> bool:
    """Whether such a column holds the value exactly, by the words of the contract."""
    if value is None:
        return True
    if pa.types.is_struct(type_):
        return isinstance(value, dict) and bool(value)
    if pa.types.is_list(type_):
        return isinstance(value, list) and all(
            _fits_in_list(item, type_.value_type) for item in value
        )
    number = exactly(value)
    if pa.types.is_float64(type_):
        if isinstance(value, int) and not isinstance(value, bool):
            return abs(value) <= 2**53
        if isinstance(value, float):
            return True
        try:
            return number is not None and Fraction(float(number)) == number
        except OverflowError:
            return False
    if pa.types.is_int64(type_):
        return number is not None and number.denominator == 1 and -(2**63) <= number < 2**63
    if pa.types.is_decimal(type_):
        if number is None:
            return False
        scaled = number * 10**type_.scale
        digits = min(type_.precision, 34) if isinstance(value, float) else type_.precision
        return scaled.denominator == 1 and abs(scaled) < 10**digits
    kinds = {pa.string(): str, pa.bool_(): bool, pa.timestamp("ms", "UTC"): dt.datetime}
    return isinstance(value, kinds[type_])


def _fits_in_list(value: Any, type_: pa.DataType) -> bool:
    if not pa.types.is_struct(type_) or not isinstance(value, dict):
        return fits(value, type_)
    members = {type_.field(i).name: type_.field(i).type for i in range(type_.num_fields)}
    for name, inner in value.items():
        if inner is None:
            continue
        if inner == {} and pa.types.is_struct(members.get(name, pa.struct([]))):
            continue
        if name not in members or not _fits_in_list(inner, members[name]):
            return False
    return True


def compare(value: Any, stored: Any, type_: pa.DataType, path: str, left: Counter[str]) -> None:
    """One document's value and the column's; counts what the column leaves out."""
    if not fits(value, type_):
        assert stored is None, path
        left[path] += value != {} or not pa.types.is_struct(type_)
    elif pa.types.is_struct(type_):
        for i in range(type_.num_fields):
            member = type_.field(i)
            inner = (stored or {}).get(member.name)
            compare(
                (value or {}).get(member.name), inner, member.type, f"{path}.{member.name}", left
            )
        unknown = {name for name in value or {} if type_.get_field_index(name) < 0}
        left.update(
            {f"{path}.{name}": 1 for name in unknown if (value or {})[name] not in (None, {})}
        )
    else:
        assert same(value, stored), (path, value, stored)


def same(value: Any, stored: Any) -> bool:
    """Equal as numbers; a null and {} within lists are NULL members."""
    if isinstance(value, list):
        return len(value) == len(stored) and all(map(same, value, stored))
    if isinstance(value, dict):
        return all(same(value.get(name) or None, inner) if value.get(name) in (None, {})
                   else same(value[name], inner) for name, inner in stored.items())  # fmt: skip
    number = exactly(value)
    if number is None and isinstance(value, float):
        same_sign = math.isnan(value) or math.copysign(1, value) == math.copysign(1, stored)
        return repr(value) == repr(stored) and same_sign
    if number is None:
        return bool(value == stored) and type(value) is type(stored)
    return not isinstance(stored, bool) and Fraction(stored) == number


@given(days())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_columns_hold_what_their_types_hold(documents: list[dict[str, Any]]) -> None:
    made, left_out = exported(documents)
    rows = made.to_pylist()
    left: Counter[str] = Counter()
    for field in made.schema:
        if field.name in "xsld":
            for document, row in zip(documents, rows, strict=True):
                compare(document.get(field.name), row[field.name], field.type, field.name, left)
    for name in set("xsld") - set(made.schema.names):
        left[name] += sum(document.get(name) not in (None, {}) for document in documents)
    assert {path: n for path, n in left.items() if n} == left_out


def type_of(*values: Any) -> tuple[pa.DataType | None, int]:
    """The column's type, and how many values it does not hold."""
    made, left_out = exported([{"x": value} for value in values])
    at = made.schema.get_field_index("x")
    return made.schema.field(at).type if at >= 0 else None, left_out.get("x", 0)


D = Decimal128


@pytest.mark.parametrize(
    ("values", "type_", "left"),
    [
        ([1, Int64(2**60)], pa.int64(), 0),
        ([1, 2.5], pa.float64(), 0),
        ([5.0, 3], pa.float64(), 0),
        ([1, 2, 2**53, -0.0, math.nan, -math.inf], pa.float64(), 0),
        ([2**53 + 1, 1, 2.5, 3.5], pa.float64(), 1),
        ([2**53 + 1, -(2**53) - 1, 1, 2.5], pa.int64(), 1),
        ([2**53 + 1, -(2**53) - 1, 1, 2.0], pa.int64(), 0),
        ([D("19.99"), D("5.5"), 7], pa.decimal128(4, 2), 0),
        ([D("19.99"), 2**63 - 1], pa.decimal128(21, 2), 0),
        ([D("1E-38"), *range(1, 5)], pa.int64(), 1),
        ([D("1.5"), D("2.25"), 0.5, 0.1], pa.float64(), 0),
        ([D("1.5"), D("0.1"), 0.5], pa.decimal128(38, 1), 0),
        ([D("1.5"), D("0.1"), 0.1], pa.decimal128(38, 1), 1),
        ([D("1.5"), 0.1, 0.2, D("0.1"), 0.3], pa.float64(), 1),
        ([D("NaN"), D("-0"), D("1E+6111"), D("1")], pa.decimal128(1, 0), 3),
        ([D("NaN")], None, 1),
    ],
)  # fmt: skip
def test_one_column_for_all_numbers(values: list[Any], type_: pa.DataType, left: int) -> None:
    assert type_of(*values) == (type_, left)


def test_geojson() -> None:
    """Coordinates mix whole numbers and fractions at every level."""
    points = [{"type": "Point", "coordinates": [127 if i % 2 else 127.5, 37.5]} for i in range(9)]
    ring = [[0, 0], [0, 1.5], [Int64(3), 2], [0, 0]]
    made, left_out = exported(
        [{"loc": p} for p in points] + [{"area": {"coordinates": [ring]}}, {"loc": points[0]}]
    )
    assert left_out == {}
    coordinates = [row["loc"]["coordinates"] for row in made.to_pylist()[:9]]
    assert coordinates == [p["coordinates"] for p in points]
    assert made["area"][9].as_py() == {"coordinates": [ring]}
    assert made.schema.field("area").type.field(0).type.value_type.value_type.value_type == (
        pa.float64()
    )


def test_sums_as_the_server_gives_them(mongo_uri: str, mongo_database: str, tmp_path: Path) -> None:
    """Node.js: whole numbers are int32, others double; Java: decimals of natural scale."""
    prices = [Decimal128(n) for n in ("19.99", "5.5", "100", "0.125")]
    documents = [
        {"timestamp": MIDNIGHT, "cost": i // 2 if i % 2 == 0 else i / 2, "price": prices[i % 4],
         "items": [{"n": i}, {"n": i / 4}, {"n": None}], "s": {"v": Int64(i) if i % 3 else i / 8}}
        for i in range(200)
    ]  # fmt: skip
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        orders = client[mongo_database].orders
        orders.insert_many(documents)
        sums = {"_id": None, "cost": {"$sum": "$cost"}, "price": {"$sum": "$price"},
                "least": {"$min": "$s.v"}, "v": {"$sum": "$s.v"}}  # fmt: skip
        (expected,) = orders.aggregate([{"$group": sums}])
        (items,) = orders.aggregate(
            [{"$unwind": "$items"}, {"$group": {"_id": None, "n": {"$sum": "$items.n"}}}]
        )
    dataset = MongoDataset(name="orders", source="mongo", collection="orders")
    reader = MongoReader(MongoSource(uri=mongo_uri, database=mongo_database))
    with closing(reader), reader.read(dataset, Day.parse("2026-07-01"), tmp_path) as answer:
        orders_table = pa.Table.from_batches(answer.batches, answer.schema)  # noqa: F841  DuckDB
    row = (
        duckdb.connect()
        .sql(
            "SELECT sum(cost), sum(price), min(s.v), sum(s.v), "
            "sum(list_sum(list_transform(items, lambda i: i.n))), count(cost) FROM orders_table"
        )
        .fetchone()
    )
    assert row == (
        expected["cost"], expected["price"].to_decimal(), expected["least"], expected["v"],
        items["n"], 200,
    )  # fmt: skip
    assert answer.details["left_out"] == {}
    assert answer.details["typing"] == 2
