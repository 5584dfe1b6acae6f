"""The walk over a batch's bytes.

Belongs here: one pass that gives each value's path, type, place, owner and kind.
Does not: the arrays that it fills (scan), the table of paths (paths).

A member's name is mostly the one that stood there in an earlier document: that is one
comparison; else it is looked up by its hash.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.compiled import (
    BOOL,
    BYTES,
    I8S,
    I32_ROWS,
    I32S,
    I64_ROWS,
    I64S,
    U8S,
    compiled,
    inlined,
    load8,
    load32,
    load64,
)
from lake.systems.mongo.reading.kinds import Kind
from lake.systems.mongo.reading.loops.paths import (
    EXTENDED,
    FIRST,
    FLAGS,
    FULL,
    IS_ITEM,
    LAST,
    NAME_AT,
    NAME_SIZE,
    NEXT,
    NO_TEXT,
    OPENS_ARRAYS,
    OPENS_DOCUMENTS,
    PARENT,
    ROOT,
    field_of,
    item_of,
)
from lake.systems.mongo.reading.loops.value import ODD_NAN, end_and_kind, zero_at

_NONE, _DOUBLE = int(Kind.NONE), int(Kind.DOUBLE)
_GUESSES = 4
# What is remembered of each document that is open around the present place.
_OPEN_NODE, _OPEN_OWNER, _OPEN_END, _OPEN_INDEX, _OPEN_BEFORE = range(5)
LEVELS = 64  # more than paths are ever opened


@inlined
def _is_name(data, at, names, name_at, size):
    """Whether the name and its closing zero stand at data[at:]; reads up to 8 bytes more."""
    for offset in range(0, size + 1, 8):
        differs = load64(data, at + offset) ^ load64(names, name_at + offset)
        left = size + 1 - offset
        if left < 8:
            differs &= (1 << (8 * left)) - 1
        if differs:
            return False
    return True


@inlined
def _guessed(data, at, last, table, names, node, before):
    """The member of `node` that came behind `before` earlier, if it stands here; else −1."""
    path = np.int64(table[before, NEXT] if before >= 0 else table[node, FIRST])
    for _ in range(_GUESSES):
        if path < 0 or table[path, PARENT] != node:
            return -1
        size = np.int64(table[path, NAME_SIZE])
        room = at + size < last and at + (size >> 3 << 3) + 8 <= data.size
        if room and _is_name(data, at, names, np.int64(table[path, NAME_AT]), size):
            return path
        path = np.int64(table[path, NEXT])  # a member that is not always there
    return -1


@inlined
def _is_index(data, at, stop, index):
    """Whether data[at:stop] is the number as an array's key."""
    for place in range(stop - 1, at - 1, -1):
        if load8(data, place) != 0x30 + index % 10:
            return False
        index //= 10
        if index == 0:
            return place == at
    return False


@compiled(
    BOOL(
        BYTES,
        I64S,
        I32_ROWS,
        I32S,
        U8S,
        I64S,
        I64S,
        I32S,
        I32S,
        U8S,
        I32S,
        I32S,
        I8S,
        U8S,
        I64_ROWS,
    )
)
def scan(  # noqa: PLR0912, PLR0915  one loop: what it keeps stays in registers
    data,
    starts,
    table,
    slots,
    names,
    state,
    done,
    row,
    path,
    tag,
    at,
    owner,
    kind,
    unrepresentable,
    opened,
):
    """The documents from done[0] on, entries from done[1] on; False where paths are full."""
    entry = done[1]
    for number in range(done[0], len(starts)):
        first_entry = entry
        begin = starts[number]
        end = begin
        if 0 <= begin <= data.size - 5:
            end = begin + load32(data, begin)
        fault = end < begin + 5 or end > data.size
        level, node, own, index, before = 0, ROOT, -1, -1, -1
        pos = begin + 4
        while not fault:
            # Here pos < end: there is one more byte of this document, if only its last.
            last = end - 1
            type_ = load8(data, pos)
            pos += 1
            if type_ == 0:
                fault = pos != end
                if level == 0:
                    break
                level -= 1
                node, own = opened[level, _OPEN_NODE], opened[level, _OPEN_OWNER]
                end, index = opened[level, _OPEN_END], opened[level, _OPEN_INDEX]
                before = opened[level, _OPEN_BEFORE]
                fault |= pos >= end
                continue
            if index >= 0:  # in an array
                stop = zero_at(data, pos, last)
                if stop < 0:
                    fault = True
                    break
                if not _is_index(data, pos, stop, index):
                    kind[own] = _NONE
                index += 1
                child = item_of(table, state, node)
                pos = stop + 1
            else:
                child = _guessed(data, pos, last, table, names, node, before)
                if child >= 0:
                    pos += table[child, NAME_SIZE] + 1
                else:
                    stop = zero_at(data, pos, last)
                    if stop < 0:
                        fault = True
                        break
                    child = field_of(table, slots, names, state, data, pos, stop - pos, node)
                    pos = stop + 1
                    if child != FULL and before >= 0:
                        table[before, NEXT] = child
                    elif child != FULL:
                        table[node, FIRST] = child
            if child == FULL:
                # Again from the document's beginning, with more room.
                for index in range(first_entry, entry):
                    table[path[index], LAST] = -1
                unrepresentable[number] = 0
                done[0], done[1] = number, first_entry
                return False
            value_kind = end_and_kind(data, type_, pos, last)
            if value_kind < 0:
                fault = True
                break
            stop, value_kind = value_kind >> 4, value_kind & 15
            flags = table[child, FLAGS]
            row[entry], path[entry], tag[entry] = number, child, type_
            at[entry], owner[entry] = pos, own
            if value_kind == ODD_NAN:
                value_kind = _DOUBLE
                unrepresentable[number] = 1
            if flags & NO_TEXT:
                value_kind = _NONE
                unrepresentable[number] = 1
            if flags & EXTENDED:
                value_kind = _NONE
                if own >= 0:
                    # What lies in such an object goes with it: a DBRef is one value.
                    kind[own] = _NONE
                else:
                    unrepresentable[number] = 1
            if not flags & IS_ITEM:
                twin = table[child, LAST]
                if twin >= first_entry and owner[twin] == own:
                    value_kind = kind[twin] = _NONE
                    if own < 0 or not flags & EXTENDED:
                        unrepresentable[number] = 1
                table[child, LAST] = entry
            kind[entry] = value_kind
            before = child
            opens = (type_ == 0x03 and flags & OPENS_DOCUMENTS) or (
                type_ == 0x04 and flags & OPENS_ARRAYS
            )
            if opens and level < LEVELS:
                opened[level, _OPEN_NODE], opened[level, _OPEN_OWNER] = node, own
                opened[level, _OPEN_END], opened[level, _OPEN_INDEX] = end, index
                opened[level, _OPEN_BEFORE] = before
                level += 1
                node, own, end, before = child, entry, stop, -1
                index = 0 if type_ == 0x04 else -1
                pos += 4
            else:
                pos = stop
            entry += 1
        if fault:
            for index in range(first_entry, entry):
                table[path[index], LAST] = -1
            entry = first_entry
            unrepresentable[number] = 1
    done[0], done[1] = len(starts), entry
    return True
