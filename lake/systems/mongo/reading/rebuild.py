"""A row of a Mongo table back to the document that it was made of.

Belongs here: the rule of `_raw`, typed columns and `_rest`. Does not: reading rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bson
import pyarrow as pa
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128, create_decimal128_context

from lake.systems.mongo.reading.names import BINARY3, BSON, FIXED_NAMES, OBJECT_ID, RAW, REST, UUID

_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
_JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    tz_aware=False,
)
_FROM_TEXT: dict[bytes, Callable[[str], Any]] = {
    OBJECT_ID.encode(): bson.ObjectId,
    UUID.encode(): lambda text: bson.Binary(bytes.fromhex(text.replace("-", "")), 4),
    BINARY3.encode(): lambda text: bson.Binary(bytes.fromhex(text), 3),
}


def rebuild(row: Mapping[str, Any], schema: pa.Schema) -> bytes:
    """The document as BSON. `row` is one of pyarrow's `to_pylist`, `schema` the table's.

    Fields have equal values; only their order and the width of integers may differ.
    """
    if row[RAW] is not None:
        return bytes(row[RAW])
    document = {}
    for column in schema:
        if column.name not in FIXED_NAMES:
            value = _typed(row[column.name], column)
            if value is not None:
                document[column.name] = value
    if row[REST] is not None:
        rest: dict[str, Any] = json_util.loads(row[REST], json_options=_JSON)
        _merge(document, rest)
    return bson.encode(document, codec_options=_OPTIONS)


def _typed(value: Any, column: pa.Field) -> Any:
    """The value of a column or a STRUCT's member; None where there is none."""
    if value is None:
        return None
    if pa.types.is_struct(column.type):
        return _members(value, column) or None
    if pa.types.is_list(column.type):
        return [_element(item, column.type.value_field) for item in value]
    return _plain(value, column)


def _element(value: Any, column: pa.Field) -> Any:
    """In a LIST a NULL is a null, and a STRUCT without members is {}."""
    if value is not None and pa.types.is_struct(column.type):
        return _members(value, column)
    return _typed(value, column)


def _members(value: Mapping[str, Any], column: pa.Field) -> dict[str, Any]:
    members = {}
    for index in range(column.type.num_fields):
        member = column.type.field(index)
        typed = _typed(value[member.name], member)
        if typed is not None:
            members[member.name] = typed
    return members


def _plain(value: Any, column: pa.Field) -> Any:
    if pa.types.is_decimal(column.type):
        return Decimal128(create_decimal128_context().create_decimal(value))
    from_text = _FROM_TEXT.get((column.metadata or {}).get(BSON.encode(), b""))
    return from_text(value) if from_text else value


def _merge(document: dict[str, Any], rest: Mapping[str, Any]) -> None:
    for name, value in rest.items():
        mine = document.get(name)
        if type(value) is dict and type(mine) is dict:
            _merge(mine, value)
        else:
            document[name] = value
