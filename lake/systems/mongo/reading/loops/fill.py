"""Compiled loops from a batch's bytes into Arrow buffers.

Belongs here: copying values of one kind to their places. Does not: which values (settle),
what arrays are made of the buffers (columns).

`entries` are a path's held entries in the order of their bytes, `slot` is for every entry
which place of its array it has, ascending with the entries. Numbers of another kind than the
column's become its own, which settle has found to be exact. Other values of another kind than
`wanted` (a list's null elements) are left out: their bit of `valid`, an Arrow bitmap, stays 0.
Each returns how many were filled.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
from __future__ import annotations

import numpy as np

from lake.compiled import (
    BYTES,
    F64S,
    I8S,
    I32S,
    I64,
    I64_ROWS,
    I64S,
    U8S,
    compiled,
    copy,
    load8,
    load32,
    load64,
    load_double,
)
from lake.systems.mongo.reading.kinds import Kind
from lake.systems.mongo.reading.loops.numbers import as_decimal, as_double, as_integer, integer_at

_NULL, _UUID = int(Kind.NULL), int(Kind.UUID)
_INT, _DOUBLE, _DECIMAL = int(Kind.INT), int(Kind.DOUBLE), int(Kind.DECIMAL)
_HYPHEN = ord("-")
_HEX = b"0123456789abcdef"


@compiled(I64(BYTES, I32S, U8S, I8S, I64, I32S, I32S, I64S, U8S))
def integers(data, at, tag, kind, wanted, entries, slot, out, valid):
    """Of int32, int64 and other numbers the int64."""
    filled = 0
    for entry in entries:
        entry_kind = kind[entry]
        place, begin = slot[entry], at[entry]
        if entry_kind == wanted:
            out[place] = integer_at(data, begin, tag[entry])
        elif entry_kind in (_DOUBLE, _DECIMAL):
            _, out[place] = as_integer(data, begin, entry_kind)
        else:
            continue
        valid[place >> 3] |= 1 << (place & 7)
        filled += 1
    return filled


@compiled(I64(BYTES, I32S, U8S, I8S, I64, I32S, I32S, F64S, U8S))
def doubles(data, at, tag, kind, wanted, entries, slot, out, valid):
    """Doubles with their very bits, and other numbers as doubles."""
    filled = 0
    for entry in entries:
        entry_kind = kind[entry]
        place, begin = slot[entry], at[entry]
        if entry_kind == wanted:
            out[place] = load_double(data, begin)
        elif entry_kind in (_INT, _DECIMAL):
            _, out[place] = as_double(data, begin, tag[entry], entry_kind)
        else:
            continue
        valid[place >> 3] |= 1 << (place & 7)
        filled += 1
    return filled


@compiled(I64(BYTES, I32S, U8S, I8S, I64, I64, I32S, I32S, I64_ROWS, U8S))
def decimals(data, at, tag, kind, scale, precision, entries, slot, out, valid):
    """Numbers times 10^scale, the lower half of 128 bits first."""
    filled = 0
    for entry in entries:
        entry_kind = kind[entry]
        if entry_kind in (_INT, _DOUBLE, _DECIMAL):
            place = slot[entry]
            _, high, low = as_decimal(data, at[entry], tag[entry], entry_kind, scale, precision)
            out[place, 0], out[place, 1] = np.int64(low), np.int64(high)
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    return filled


@compiled(I64(BYTES, I32S, I8S, I64, I32S, I32S, I64S, U8S))
def dates(data, at, kind, wanted, entries, slot, out, valid):
    """Eight bytes as they are."""
    filled = 0
    for entry in entries:
        if kind[entry] == wanted:
            place = slot[entry]
            out[place] = load64(data, at[entry])
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    return filled


@compiled(I64(BYTES, I32S, I8S, I64, I32S, I32S, U8S, U8S))
def bools(data, at, kind, wanted, entries, slot, out, valid):
    """A bit each, as Arrow has them."""
    filled = 0
    for entry in entries:
        if kind[entry] == wanted:
            place = slot[entry]
            out[place >> 3] |= load8(data, at[entry]) << (place & 7)
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    return filled


@compiled(I64(BYTES, I32S, I8S, I64, I64, I32S))
def size_of_all(data, at, kind, wanted, spare, entries):
    """How long the strings (spare = 1: their closing zero) or binaries (0) are together."""
    total = 0
    for entry in entries:
        if kind[entry] == wanted:
            total += load32(data, at[entry]) - spare
    return total


@compiled(I64(BYTES, I32S, I8S, I64, I64, I32S, I32S, I32S, U8S, U8S))
def strings(data, at, kind, wanted, spare, entries, slot, offsets, out, valid):
    """Strings or binaries one behind the other, and where each begins."""
    filled = end = 0
    following = 0  # the first slot that has no offset yet
    for entry in entries:
        if kind[entry] == wanted:
            place, begin = slot[entry], at[entry]
            offsets[following : place + 1] = end
            following = place + 1
            size = load32(data, begin) - spare
            copy(out, end, data, begin + 5 - spare, size)
            end += size
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    offsets[following:] = end
    return filled


@compiled(I64(BYTES, I32S, I8S, I64, I64, I64, I32S, I32S, I32S, U8S, U8S))
def digits(data, at, kind, wanted, begin, size, entries, slot, offsets, out, valid):
    """Of each value `size` bytes from `begin` on, in hexadecimal, one behind the other."""
    filled = following = end = 0
    for entry in entries:
        if kind[entry] == wanted:
            place = slot[entry]
            offsets[following : place + 1] = end
            following = place + 1
            for index in range(size):
                byte = load8(data, at[entry] + begin + index)
                out[end] = _HEX[byte >> 4]
                out[end + 1] = _HEX[byte & 15]
                end += 2
                if wanted == _UUID and index in (3, 5, 7, 9):
                    out[end] = _HYPHEN
                    end += 1
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    offsets[following:] = end
    return filled


@compiled(I64(I32S, I8S, I64, I32S, I32S, I32S, I32S, U8S))
def lists(owner, kind, wanted, entries, items, slot, offsets, valid):
    """Where each array's elements begin; gives the elements (`items`) their slots."""
    filled = following = 0
    taken = 0
    for entry in entries:
        if kind[entry] == wanted:
            place = slot[entry]
            offsets[following : place + 1] = taken
            following = place + 1
            while taken < len(items) and owner[items[taken]] == entry:
                slot[items[taken]] = taken
                taken += 1
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    offsets[following:] = taken
    return filled


@compiled(I64(I32S, I32S, I32S))
def inherit(owner, entries, slot):
    """Members have the slot of the document that they lie in."""
    for entry in entries:
        slot[entry] = slot[owner[entry]]
    return len(entries)


@compiled(I64(I8S, I32S, I32S, U8S))
def documents(kind, entries, slot, valid):
    """Marks the elements of a list that are documents."""
    filled = 0
    for entry in entries:
        if kind[entry] != _NULL:
            place = slot[entry]
            valid[place >> 3] |= 1 << (place & 7)
            filled += 1
    return filled
