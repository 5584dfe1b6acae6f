"""Canonical Extended JSON straight from BSON bytes.

Belongs here: what Extended JSON can represent, and refusing the rest.
Does not: which values are written this way. The other direction is bson.json_util.
Source: https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any

from bson.decimal128 import Decimal128

from lake.systems.mongo.reading.elements import MalformedError, elements
from lake.systems.mongo.reading.names import EXTENDED_NAMES

_int32 = Struct("<i").unpack_from
_int64 = Struct("<q").unpack_from
_uint32s = Struct("<II").unpack_from
_double = Struct("<d").unpack_from
_PLAIN_NAN = b"\x00\x00\x00\x00\x00\x00\xf8\x7f"
_REGEX_OPTIONS = "ilmsux"
_MAX_DEPTH = 200
# What bson.json_util can't take as the further member of a DBRef.
_DBREF_ARGUMENTS = frozenset({b"collection", b"id", b"database", b"_extra", b"self"})


class UnrepresentableError(ValueError):
    """Read back from Extended JSON, the value would be another one."""


def extended(data: bytes, tag: int, at: int, depth: int = 0) -> Any:
    """What json.dumps makes canonical Extended JSON of.

    Raises UnrepresentableError: a name twice, an object that looks like Extended JSON itself, text
    that is not UTF-8, a NaN's payload, the types that bson.json_util does not give back
    (symbol, undefined, DBPointer), unusual encodings, more than 200 levels.
    """
    if depth > _MAX_DEPTH:
        raise UnrepresentableError("too many levels")
    try:
        if tag in {0x03, 0x04}:
            return (_document if tag == 0x03 else _array)(data, at, depth + 1)
        if tag == 0x0F:
            return _code_with_scope(data, at, depth + 1)
        say = _SAY.get(tag)
        if say is None:
            raise UnrepresentableError(f"type 0x{tag:02x}")
        return say(data, at)
    except (MalformedError, IndexError, StructError) as error:
        raise UnrepresentableError(str(error)) from error


def extended_line(document: bytes) -> dict[str, Any]:
    """The same for a whole document that is to stand alone, as a line of JSON does.

    It must not look like a value in Extended JSON either, as a document with `$ref` and
    `$id` would. Raises UnrepresentableError.
    """
    fields: dict[str, Any] = extended(document, 0x03, 0)
    if not EXTENDED_NAMES.isdisjoint(name.encode() for name in fields):
        raise UnrepresentableError("looks like Extended JSON")
    return fields


def _document(data: bytes, at: int, depth: int) -> dict[str, Any]:
    message: dict[str, Any] = {}
    names = set()
    reference: dict[bytes, int] = {}
    for tag, name, begin, _ in elements(data, at):
        if name in names:
            raise UnrepresentableError("a name twice")
        names.add(name)
        if name in EXTENDED_NAMES:
            reference[name] = tag
        message[_text(name)] = extended(data, tag, begin, depth)
    if reference and not _is_dbref(reference, names):
        raise UnrepresentableError("looks like Extended JSON")
    return message


def _is_dbref(reference: dict[bytes, int], names: set[bytes]) -> bool:
    return (
        reference.keys() in ({b"$ref", b"$id"}, {b"$ref", b"$id", b"$db"})
        and reference[b"$ref"] == 0x02
        and reference.get(b"$db", 0x02) == 0x02
        and not names & _DBREF_ARGUMENTS
    )


def _array(data: bytes, at: int, depth: int) -> list[Any]:
    message = []
    for index, (tag, name, begin, _) in enumerate(elements(data, at)):
        if name != b"%d" % index:
            raise UnrepresentableError("an array with unusual keys")
        message.append(extended(data, tag, begin, depth))
    return message


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise UnrepresentableError("not UTF-8") from error


def _string(data: bytes, at: int) -> str:
    end = at + 4 + _int32(data, at)[0]
    if end < at + 5 or data[end - 1] != 0:
        raise UnrepresentableError("a string without its closing zero")
    return _text(data[at + 4 : end - 1])


def _number_double(data: bytes, at: int) -> dict[str, str]:
    (number,) = _double(data, at)
    if math.isnan(number):
        if data[at : at + 8] != _PLAIN_NAN:
            raise UnrepresentableError("a NaN's payload")
        return {"$numberDouble": "NaN"}
    if math.isinf(number):
        return {"$numberDouble": "Infinity" if number > 0 else "-Infinity"}
    return {"$numberDouble": repr(number)}


def _binary(data: bytes, at: int) -> dict[str, Any]:
    length, subtype = _int32(data, at)[0], data[at + 4]
    content = data[at + 5 : at + 5 + length]
    if subtype == 0x02:
        if length < 4 or _int32(content)[0] != length - 4:
            raise UnrepresentableError("an old binary with a wrong length")
        content = content[4:]
    encoded = base64.b64encode(content).decode("ascii")
    return {"$binary": {"base64": encoded, "subType": f"{subtype:02x}"}}


def _bool(data: bytes, at: int) -> bool:
    if data[at] > 1:
        raise UnrepresentableError("neither true nor false")
    return data[at] == 1


def _regex(data: bytes, at: int) -> dict[str, Any]:
    end = data.index(0, at)
    pattern, options = _text(data[at:end]), _text(data[end + 1 : data.index(0, end + 1)])
    if options != "".join(letter for letter in _REGEX_OPTIONS if letter in options):
        raise UnrepresentableError("unknown or unordered options of a regular expression")
    return {"$regularExpression": {"pattern": pattern, "options": options}}


def _code_with_scope(data: bytes, at: int, depth: int) -> dict[str, Any]:
    code = _string(data, at + 4)
    scope_at = at + 8 + _int32(data, at + 4)[0]
    if scope_at + _int32(data, scope_at)[0] != at + _int32(data, at)[0]:
        raise UnrepresentableError("code with a scope of a wrong length")
    return {"$code": code, "$scope": extended(data, 0x03, scope_at, depth)}


def _timestamp(data: bytes, at: int) -> dict[str, Any]:
    increment, seconds = _uint32s(data, at)
    return {"$timestamp": {"t": seconds, "i": increment}}


def _decimal(data: bytes, at: int) -> dict[str, str]:
    number = Decimal128.from_bid(data[at : at + 16])
    if Decimal128(str(number)).bid != number.bid:
        raise UnrepresentableError("an unusual encoding of a decimal")
    return {"$numberDecimal": str(number)}


_SAY: dict[int, Callable[[bytes, int], Any]] = {
    0x01: _number_double,
    0x02: _string,
    0x05: _binary,
    0x07: lambda data, at: {"$oid": data[at : at + 12].hex()},
    0x08: _bool,
    0x09: lambda data, at: {"$date": {"$numberLong": str(_int64(data, at)[0])}},
    0x0A: lambda data, at: None,  # noqa: ARG005
    0x0B: _regex,
    0x0D: lambda data, at: {"$code": _string(data, at)},
    0x10: lambda data, at: {"$numberInt": str(_int32(data, at)[0])},
    0x11: _timestamp,
    0x12: lambda data, at: {"$numberLong": str(_int64(data, at)[0])},
    0x13: _decimal,
    0x7F: lambda data, at: {"$maxKey": 1},  # noqa: ARG005
    0xFF: lambda data, at: {"$minKey": 1},  # noqa: ARG005
}
