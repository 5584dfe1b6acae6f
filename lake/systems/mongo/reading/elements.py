"""BSON documents taken apart one element at a time.

Belongs here: where an element begins and ends, in plain Python, for rare values and single
documents. Does not: whole batches (scan), what a value means.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import NoReturn

# Bytes that a value takes; the negative ones have to be looked up.
PREFIXED, SELF_SIZED, BINARY, REGEX, DB_POINTER, UNKNOWN = -1, -2, -3, -4, -5, -6
SIZES = [UNKNOWN] * 256
for _size, _tags in {
    0: (0x06, 0x0A, 0xFF, 0x7F),
    1: (0x08,),
    4: (0x10,),
    8: (0x01, 0x09, 0x11, 0x12),
    12: (0x07,),
    16: (0x13,),
    PREFIXED: (0x02, 0x0D, 0x0E),
    SELF_SIZED: (0x03, 0x04, 0x0F),
    BINARY: (0x05,),
    REGEX: (0x0B,),
    DB_POINTER: (0x0C,),
}.items():
    for _tag in _tags:
        SIZES[_tag] = _size
_EXTRA = {PREFIXED: 4, SELF_SIZED: 0, BINARY: 5, DB_POINTER: 16}
_length_at = Struct("<I").unpack_from


class MalformedError(ValueError):
    """The bytes are not the BSON that their lengths claim."""


def value_end(data: bytes, tag: int, pos: int) -> int:
    """Where the value of that type that begins at `pos` ends. Raises MalformedError."""
    size = SIZES[tag]
    if size >= 0:
        return pos + size
    if size == REGEX:
        return data.index(0, data.index(0, pos) + 1) + 1
    if size == UNKNOWN:
        _fail(f"type 0x{tag:02x}", pos)
    length: int = _length_at(data, pos)[0]
    if size == SELF_SIZED and length < 5:
        _fail("a length", pos)
    return pos + length + _EXTRA[size]


def elements(data: bytes, start: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Tag, name, begin and end of each value of the document that begins at `start`.

    Raises MalformedError.
    """
    try:
        end = start + _length_at(data, start)[0]
        pos = start + 4
        while tag := data[pos]:
            stop = data.index(0, pos + 1)
            name = data[pos + 1 : stop]
            pos = value_end(data, tag, stop + 1)
            if pos >= end or pos >= len(data):
                _fail("a value's length", stop + 1)
            yield tag, name, stop + 1, pos
    except (IndexError, StructError, ValueError) as error:
        raise MalformedError(str(error)) from error
    if pos + 1 != end:
        _fail("a document's length", start)


def document_starts(data: bytes) -> list[int]:
    """Where each of the documents begins that stand one behind the other. Raises MalformedError."""
    starts, pos = [], 0
    while pos < len(data):
        starts.append(pos)
        try:
            length = _length_at(data, pos)[0]
        except StructError as error:
            raise MalformedError(str(error)) from error
        if length < 5:
            _fail("a length", pos)
        pos += length
    if pos != len(data):
        _fail("the last document's length", starts[-1])
    return starts


def _fail(what: str, pos: int) -> NoReturn:
    raise MalformedError(f"{what} is wrong at byte {pos}")
