"""One BSON value, in compiled code: where it ends, which column would hold it exactly.

Belongs here: what follows from a value's type and bytes alone. Does not: documents (scan).
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.compiled import inlined, load8, load32, load64
from lake.systems.mongo.reading import elements
from lake.systems.mongo.reading.kinds import (
    FIRST_DATE_MS,
    KIND_OF_TAG,
    LARGEST_COEFFICIENT,
    LAST_DATE_MS,
    PLAIN_NAN,
    Kind,
)

_SIZES = np.array(elements.SIZES, np.int64)
_PREFIXED, _SELF_SIZED, _BINARY = elements.PREFIXED, elements.SELF_SIZED, elements.BINARY
_REGEX, _DB_POINTER = elements.REGEX, elements.DB_POINTER
_NONE, _EMPTY, _STRING = int(Kind.NONE), int(Kind.EMPTY), int(Kind.STRING)
_INT, _DOUBLE = int(Kind.INT), int(Kind.DOUBLE)
_UUID, _BINARY3 = int(Kind.UUID), int(Kind.BINARY3)
ODD_NAN = 15  # a NaN with a sign or payload: a double, whose bits only `_raw` keeps for sure
_LIMIT_HIGH, _LIMIT_LOW = LARGEST_COEFFICIENT
_HIGH_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in each byte


@inlined
def is_utf8(data, begin, end):  # noqa: PLR0912  a table, as branches
    """Whether data[begin:end] is UTF-8, by the table of well-formed sequences (Unicode 3.9)."""
    at = begin
    while at < end:
        if at + 8 <= end and not load64(data, at) & _HIGH_BITS:
            at += 8
            continue
        lead = load8(data, at)
        at += 1
        if lead < 0x80:
            continue
        low, high, more = 0x80, 0xBF, 1
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more > end:
            return False
        for _ in range(more):
            byte = load8(data, at)
            if byte < low or byte > high:
                return False
            low, high = 0x80, 0xBF
            at += 1
    return True


@inlined
def zero_at(data, at, last):
    """Where the next zero byte is, before `last`; else −1."""
    while at < last:
        if load8(data, at) == 0:
            return at
        at += 1
    return -1


@inlined
def end_of(data, tag, at, last):
    """Where the value that begins at `at` ends; −1 where that is beyond `last`, or unknown."""
    size = _SIZES[tag]
    if size < 0:
        if size == _REGEX:
            zero = zero_at(data, at, last)
            size = (zero_at(data, zero + 1, last) + 1 if zero >= 0 else 0) - at
        elif at + 4 > last:
            return -1
        elif size == _PREFIXED:
            size = load32(data, at) + 4
        elif size == _BINARY:
            size = load32(data, at) + 5
        elif size == _DB_POINTER:
            size = load32(data, at) + 16
        elif size == _SELF_SIZED and load32(data, at) >= 5:
            size = load32(data, at)
        if size < 0:
            return -1
    return at + size if at + size <= last else -1


@inlined
def _is_exact_decimal(low, top):
    """No NaN, infinity or −0, and its coefficient as it is usually encoded."""
    high = top & ((1 << 49) - 1)
    if (top >> 61) & 3 == 3 or (top < 0 and high == 0 and low == 0):
        return False
    return high < _LIMIT_HIGH or (high == _LIMIT_HIGH and 0 <= low <= _LIMIT_LOW)


@inlined
def kind_of(data, tag, at):
    """The kind of column that holds the value exactly, for what end_and_kind leaves to it."""
    kind = np.int64(KIND_OF_TAG[tag])
    if tag == 0x09:
        date = load64(data, at)
        if date < FIRST_DATE_MS or date > LAST_DATE_MS:
            return _NONE
    elif tag == 0x03:
        if load32(data, at) == 5:
            return _EMPTY
    elif tag == 0x08:
        if load8(data, at) > 1:
            return _NONE
    elif tag == 0x05:
        subtype = load8(data, at + 4)
        if subtype and load32(data, at) != 16:
            return _NONE
        if subtype:
            return _UUID if subtype == 4 else _BINARY3 if subtype == 3 else _NONE
    elif tag == 0x13 and not _is_exact_decimal(load64(data, at), load64(data, at + 8)):
        return _NONE
    return kind


@inlined
def end_and_kind(data, tag, at, last):
    """16 × end_of + kind_of (or ODD_NAN), or −1; the commonest types first, each a branch.

    A processor foresees branches, but has to wait for the size in a table.
    """
    if tag == 0x02:
        size = load32(data, at) if at + 4 <= last else last
        end = at + 4 + size
        if end > last:
            return -1
        proper = size >= 1 and load8(data, end - 1) == 0 and is_utf8(data, at + 4, end - 1)
        return end << 4 | (_STRING if proper else _NONE)
    if tag == 0x10:
        return (at + 4) << 4 | _INT if at + 4 <= last else -1
    if tag == 0x12:
        return (at + 8) << 4 | _INT if at + 8 <= last else -1
    if tag == 0x01:
        if at + 8 > last:
            return -1
        bits = load64(data, at)
        odd = (bits & 0x7FFFFFFFFFFFFFFF) > 0x7FF0000000000000 and bits != PLAIN_NAN
        return (at + 8) << 4 | (ODD_NAN if odd else _DOUBLE)
    end = end_of(data, tag, at, last)
    return end << 4 | kind_of(data, tag, at) if end >= 0 else -1
