"""A day as the rules before `typing` stored it: one BSON type and exponent a column."""

from __future__ import annotations

import datetime as dt
from typing import Any

import bson
import pyarrow as pa
from bson import Decimal128, Int64, json_util

DAY = "2026-07-01"
MIDNIGHT = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
UUID = bson.Binary(bytes(range(16)), 4)
STORED: list[dict[str, Any]] = [
    {"_id": 1, "timestamp": MIDNIGHT, "cost": 1, "s": {"n": 2.5}, "l": [1, 2]},
    {"_id": 2, "timestamp": MIDNIGHT, "cost": 2.5, "s": {"n": Int64(3)}, "l": [1, 2.5]},
    {"_id": 3, "timestamp": MIDNIGHT, "cost": 3, "id": UUID, "price": Decimal128("19.99")},
    {"_id": 4, "timestamp": MIDNIGHT, "cost": None, "price": Decimal128("5.5"), "userid": "x"},
]
# As the rules before `typing` stored these: one BSON type and exponent a column.
_SCHEMA = pa.schema(
    [
        ("_id", pa.int64()),
        ("timestamp", pa.timestamp("ms", "UTC")),
        ("cost", pa.int64()),
        ("s", pa.struct([("n", pa.float64())])),
        ("l", pa.list_(pa.int64())),
        ("_rest", pa.string()),
        ("_raw", pa.binary()),
    ]
)
_COLUMNS = [
    {"cost": 1, "s": {"n": 2.5}, "l": [1, 2]},
    {},
    {"cost": 3},
    {},
]
_REST: list[dict[str, Any]] = [
    {},
    {"cost": 2.5, "s": {"n": Int64(3)}, "l": [1, 2.5]},
    {"id": UUID, "price": Decimal128("19.99")},
    {"cost": None, "price": Decimal128("5.5"), "userid": "x"},
]


def older_table() -> pa.Table:
    rows = []
    for number, (columns, rest) in enumerate(zip(_COLUMNS, _REST, strict=True), 1):
        text = json_util.dumps(rest, json_options=json_util.CANONICAL_JSON_OPTIONS)
        own = {"_id": number, "timestamp": MIDNIGHT, "_rest": text if rest else None}
        rows.append(own | columns)
    return pa.Table.from_pylist(rows, _SCHEMA)
