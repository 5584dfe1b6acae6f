"""BSON bytes as plain Python values that compare by type and bits: the tests' own oracle.

Written without a look at `lake.systems.mongo.reading`, and without `bson`, which hides repeated
names, NaN payloads and old types. Integers of both widths are the same, and so is the order
of fields; all else has to be equal byte for byte.
"""

from __future__ import annotations

import struct


def plain(document: bytes) -> object:
    value, end = _document(document, 0)
    assert end == len(document)
    return value


def _document(data: bytes, pos: int) -> tuple[object, int]:
    fields, end = _elements(data, pos)
    return ("document", sorted(fields, key=repr)), end


def _array(data: bytes, pos: int) -> tuple[object, int]:
    items, end = _elements(data, pos)
    keys = [key for key, _ in items]
    if keys == [str(i).encode() for i in range(len(keys))]:
        return ("array", [value for _, value in items]), end
    return ("array with keys", items), end


def _elements(data: bytes, pos: int) -> tuple[list[tuple[bytes, object]], int]:
    (length,) = struct.unpack_from("<i", data, pos)
    end, pos = pos + length, pos + 4
    members = []
    while data[pos]:
        tag = data[pos]
        stop = data.index(b"\0", pos + 1)
        key = data[pos + 1 : stop]
        value, pos = _value(tag, data, stop + 1)
        members.append((key, value))
    assert pos + 1 == end
    return members, end


def _value(tag: int, data: bytes, pos: int) -> tuple[object, int]:
    if tag == 3:
        return _document(data, pos)
    if tag == 4:
        return _array(data, pos)
    if tag == 16:
        return ("int", *struct.unpack_from("<i", data, pos)), pos + 4
    if tag == 18:
        return ("int", *struct.unpack_from("<q", data, pos)), pos + 8
    if tag == 15:
        (total,) = struct.unpack_from("<i", data, pos)
        (length,) = struct.unpack_from("<i", data, pos + 4)
        scope, end = _document(data, pos + 8 + length)
        assert end == pos + total
        return ("code", data[pos + 8 : pos + 8 + length], scope), end
    end = pos + _size(tag, data, pos)
    return (tag, data[pos:end]), end


def _size(tag: int, data: bytes, pos: int) -> int:
    if tag in (2, 13, 14):
        return 4 + struct.unpack_from("<i", data, pos)[0]
    if tag == 5:
        return 5 + struct.unpack_from("<i", data, pos)[0]
    if tag == 12:
        return 16 + struct.unpack_from("<i", data, pos)[0]
    if tag == 11:
        return data.index(b"\0", data.index(b"\0", pos) + 1) + 1 - pos
    return {1: 8, 6: 0, 7: 12, 8: 1, 9: 8, 10: 0, 17: 8, 19: 16, 127: 0, 255: 0}[tag]
