"""Finding the sort keys of documents, and reordering documents.

Belongs here: the loops of locate and spool. Does not: what is done with the places found.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.compiled import (
    BYTES,
    I64,
    I64S,
    U8S,
    compiled,
    copy,
    inlined,
    load8,
    load32,
    load64,
)
from lake.systems.mongo.reading.loops.value import end_of, zero_at

_DATE, _DOCUMENT = 0x09, 0x03
_ID = np.frombuffer(b"_id\0", np.uint8)
_KEY_BYTES = 16  # of an `_id`: its type, then its value's first
_MALFORMED = -2


@inlined
def _behind_name(data, at, last, names, begin):
    """Where the value begins if the name that is zero-ended at names[begin:] is here; else −1."""
    while at < last:
        byte = load8(data, at)
        if byte != names[begin]:
            return -1
        at += 1
        begin += 1
        if byte == 0:
            return at
    return -1


@inlined
def _find(data, pos, end, names, name_at):
    """Where the next element of that name is, from the element at `pos` on, in a document
    that ends at `end`. −1: nowhere; _MALFORMED: no BSON before it was found.
    """
    last = end - 1
    while pos < last:
        type_ = load8(data, pos)
        zero = zero_at(data, pos + 1, last)
        behind = end_of(data, type_, zero + 1, last) if type_ and zero >= 0 else -1
        if behind < 0:
            return _MALFORMED
        if _behind_name(data, pos + 1, last, names, name_at) >= 0:
            return pos
        pos = behind
    return -1 if pos == last and load8(data, last) == 0 else _MALFORMED


@inlined
def _find_path(data, begin, end, names):
    """The element that lies at the path `names` (each step zero-ended), else as `_find`.

    The first of its name counts, at each step; in the document itself the first of those
    that lead anywhere.
    """
    start = begin + 4
    while True:
        pos = first = _find(data, start, end, names, 0)
        inner_end, name_at = end, 0
        while pos >= 0:
            at = _behind_name(data, pos + 1, inner_end, names, name_at)
            while names[name_at]:
                name_at += 1
            name_at += 1
            if name_at == len(names):
                return pos
            if load8(data, pos) != _DOCUMENT:
                pos = -1
                break
            inner_end = at + load32(data, at)
            pos = _find(data, at + 4, inner_end, names, name_at)
        if pos == _MALFORMED or first < 0:
            return pos
        value = zero_at(data, first + 1, end) + 1
        start = end_of(data, load8(data, first), value, end)


@compiled(I64(BYTES, BYTES, I64S, I64S, I64S, I64S, I64S, U8S, U8S))
def locate(data, names, begins, sizes, times, highs, lows, time_tags, id_tags):
    """How many documents; −1 − n where the one at byte n is malformed."""
    many, begin = 0, 0
    while begin < data.size:
        end = begin + load32(data, begin) if begin <= data.size - 5 else begin
        if end < begin + 5 or end > data.size:
            return -1 - begin
        begins[many], sizes[many] = begin, end - begin
        times[many] = highs[many] = lows[many] = 0
        time_tags[many] = id_tags[many] = 0
        time = _find_path(data, begin, end, names)
        id_ = _find(data, begin + 4, end, _ID, 0)
        if _MALFORMED in (time, id_):
            return -1 - begin
        if time >= 0:
            time_tags[many] = load8(data, time)
            if time_tags[many] == _DATE:
                times[many] = load64(data, zero_at(data, time + 1, end) + 1)
        if id_ >= 0:
            id_tags[many] = load8(data, id_)
            key = np.int64(id_tags[many])
            for offset in range(_KEY_BYTES - 1):
                at = id_ + 5 + offset
                key = key << 8 | (load8(data, at) if at < end else 0)
                if offset == 6:
                    highs[many] = key
            lows[many] = key
        many += 1
        begin = end
    return many


@compiled(I64(BYTES, I64S, I64S, U8S))
def gather(data, begins, sizes, out):
    """The pieces one behind the other; returns how long they are together."""
    end = 0
    for row in range(len(begins)):
        copy(out, end, data, begins[row], sizes[row])
        end += sizes[row]
    return end
