"""mongodump's metadata: a collection's name, type, options and indexes as canonical Extended JSON.

Belongs here: both directions. Does not: where the files lie (mongo, mongo_load).

bson.json_util reads `{"$regex": …, "$ne": …}` as a regular expression and drops the rest. In a
view's pipeline or a validator it is a query operator. So only the exact forms of canonical
Extended JSON become BSON values here; every other object stays what it is.
Source: https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bson import (
    Binary,
    Code,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    json_util,
)
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError

# What is decoded with these options loses nothing on its way through this module.
PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_MS
)


def dumps(metadata: dict[str, Any]) -> bytes:
    """Canonical Extended JSON, as mongodump writes it."""
    return json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS).encode()


def loads(text: bytes | str) -> dict[str, Any]:
    """The document with its BSON values. Raises ValueError."""
    content = json.loads(text, object_pairs_hook=_object)
    if not isinstance(content, dict) or not isinstance(content.get("collectionName", ""), str):
        raise ValueError("not a collection's metadata")  # noqa: TRY004  as json raises it
    return content


def _object(pairs: list[tuple[str, Any]]) -> Any:
    plain = dict(pairs)
    read = _READ.get(frozenset(plain))
    if read is None or len(pairs) != len(plain):
        return plain
    try:
        return read(plain)
    except (ValueError, TypeError, KeyError, ArithmeticError, BSONError):
        return plain  # a field that only has the name of a wrapper


def _text(plain: dict[str, Any], name: str) -> str:
    value = plain[name]
    if type(value) is not str:
        raise TypeError(name)
    return value


def _date(plain: dict[str, Any]) -> DatetimeMS:
    value = plain["$date"]
    if type(value) is str:
        return DatetimeMS(datetime.fromisoformat(value))
    if not isinstance(value, Int64):
        raise TypeError("$date")
    return DatetimeMS(0 + value)


def _binary(plain: dict[str, Any]) -> Any:
    inner = plain["$binary"]
    if set(inner) != {"base64", "subType"}:
        raise KeyError("$binary")
    content = base64.b64decode(_text(inner, "base64"), validate=True)
    return Binary(content, int(_text(inner, "subType"), 16))


def _regex(plain: dict[str, Any]) -> Regex[str]:
    inner = plain["$regularExpression"]
    if set(inner) != {"pattern", "options"}:
        raise KeyError("$regularExpression")
    return Regex(_text(inner, "pattern"), _text(inner, "options"))


def _timestamp(plain: dict[str, Any]) -> Timestamp:
    inner = plain["$timestamp"]
    if set(inner) != {"t", "i"}:
        raise KeyError("$timestamp")
    return Timestamp(inner["t"], inner["i"])


def _constant(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def read(plain: dict[str, Any]) -> Any:
        if plain[name] != 1:
            raise ValueError(name)
        return value

    return read


def _scoped(plain: dict[str, Any]) -> Code:
    if not isinstance(plain["$scope"], dict):
        raise TypeError("$scope")
    return Code(_text(plain, "$code"), plain["$scope"])


_READ: dict[frozenset[str], Callable[[dict[str, Any]], Any]] = {
    frozenset({"$oid"}): lambda value: ObjectId(_text(value, "$oid")),
    frozenset({"$numberInt"}): lambda value: int(_text(value, "$numberInt")),
    frozenset({"$numberLong"}): lambda value: Int64(_text(value, "$numberLong")),
    frozenset({"$numberDouble"}): lambda value: float(_text(value, "$numberDouble")),
    frozenset({"$numberDecimal"}): lambda value: Decimal128(_text(value, "$numberDecimal")),
    frozenset({"$date"}): _date,
    frozenset({"$binary"}): _binary,
    frozenset({"$regularExpression"}): _regex,
    frozenset({"$timestamp"}): _timestamp,
    frozenset({"$code"}): lambda value: Code(_text(value, "$code")),
    frozenset({"$code", "$scope"}): _scoped,
    frozenset({"$minKey"}): _constant("$minKey", MinKey()),
    frozenset({"$maxKey"}): _constant("$maxKey", MaxKey()),
}
