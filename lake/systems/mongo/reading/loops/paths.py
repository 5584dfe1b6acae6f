"""The table of paths as compiled code reads and extends it.

Belongs here: its layout, finding and adding a path. Does not: its size and its life (paths).

The table is one row of int32 a path. A name is found by parent and bytes in `slots` (open
addressing). `names` holds each name, its closing zero and zeros up to a multiple of 8 bytes,
so that names are compared a word at a time.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.compiled import (
    BYTES,
    I32_ROWS,
    I32S,
    I64,
    I64S,
    U8S,
    compiled,
    copy,
    inlined,
    load8,
)
from lake.systems.mongo.reading.loops.value import is_utf8
from lake.systems.mongo.reading.names import EXTENDED_NAMES

# Columns of the table. FIRST and NEXT hold which member came first in a document of that path,
# and which came behind this one; LAST is the last entry of a batch that had this path.
PARENT, NAME_AT, NAME_SIZE, DEPTH, ITEM, FLAGS, FIRST, NEXT, LAST = range(9)
COLUMNS = 9
OPENS_DOCUMENTS, OPENS_ARRAYS, IS_ITEM, IN_LIST, EXTENDED, NO_TEXT = 1, 2, 4, 8, 16, 32
# Cells of `state`.
PATHS, NAMES_USED, MAX_DEPTH, MAX_PATHS = range(4)
FULL = -1
ROOT = 0

_LONGEST_EXTENDED = max(map(len, EXTENDED_NAMES))
_EXTENDED = np.zeros((len(EXTENDED_NAMES), _LONGEST_EXTENDED + 1), np.uint8)
for _number, _name in enumerate(sorted(EXTENDED_NAMES)):
    _EXTENDED[_number, : len(_name)] = list(_name)
_HASH_FACTOR = 0x100000001B3


@inlined
def _is_extended(data, begin, size):
    if size > _LONGEST_EXTENDED or size == 0 or load8(data, begin) != 0x24:
        return False
    for number in range(len(_EXTENDED)):
        same = _EXTENDED[number, size] == 0
        for index in range(size):
            if _EXTENDED[number, index] != load8(data, begin + index):
                same = False
                break
        if same:
            return True
    return False


@inlined
def _hashed(data, begin, size, parent):
    mixed = parent + 1
    for at in range(begin, begin + size):
        mixed = (mixed ^ load8(data, at)) * _HASH_FACTOR
    return mixed ^ (mixed >> 29)


@inlined
def _add(table, state, parent, name_at, name_size, flags):
    path = state[PATHS]
    state[PATHS] += 1
    depth = table[parent, DEPTH] + 1
    if path < state[MAX_PATHS] and depth < state[MAX_DEPTH]:
        flags |= OPENS_DOCUMENTS | OPENS_ARRAYS
    if flags & IS_ITEM or table[parent, FLAGS] & IN_LIST:
        flags |= IN_LIST
    table[path, PARENT], table[path, DEPTH] = parent, depth
    table[path, NAME_AT], table[path, NAME_SIZE] = name_at, name_size
    table[path, FLAGS] = flags
    table[path, ITEM] = table[path, FIRST] = table[path, NEXT] = table[path, LAST] = -1
    return path


@compiled(I64(I32_ROWS, I32S, U8S, I64S, BYTES, I64, I64, I64))
def field_of(table, slots, names, state, data, begin, size, parent):
    """The path of the member data[begin:begin + size] of `parent`, made where it is new.

    FULL where there is no room for it.
    """
    mask = len(slots) - 1
    slot = _hashed(data, begin, size, parent) & mask
    while slots[slot] >= 0:
        path = np.int64(slots[slot])
        if table[path, PARENT] == parent and table[path, NAME_SIZE] == size:
            at, same = np.int64(table[path, NAME_AT]), True
            for index in range(size):
                if names[at + index] != load8(data, begin + index):
                    same = False
                    break
            if same:
                return path
        slot = (slot + 1) & mask
    padded = (size >> 3 << 3) + 8
    path, used = state[PATHS], state[NAMES_USED]
    if path >= len(table) or 2 * path >= len(slots) or used + padded > len(names):
        return FULL
    names[used + padded - 8 : used + padded] = 0
    copy(names, used, data, begin, size)
    state[NAMES_USED] += padded
    flags = 0
    if _is_extended(data, begin, size):
        flags |= EXTENDED
    if not is_utf8(data, begin, begin + size):
        flags |= NO_TEXT
    slots[slot] = path
    _add(table, state, parent, used, size, flags)
    return path


@inlined
def item_of(table, state, parent):
    """The path of an array's elements, made where it is new; FULL where there is no room."""
    if table[parent, ITEM] < 0:
        if state[PATHS] >= len(table):
            return FULL
        table[parent, ITEM] = state[PATHS]
        _add(table, state, parent, 0, 0, IS_ITEM)
    return np.int64(table[parent, ITEM])


@compiled(I64(I32_ROWS, I32S, U8S, I64S))
def index(table, slots, names, state):
    """Fills `slots` again."""
    slots[:] = -1
    mask = len(slots) - 1
    for path in range(1, state[PATHS]):
        if not table[path, FLAGS] & IS_ITEM:
            at, size = table[path, NAME_AT], table[path, NAME_SIZE]
            slot = _hashed(names, at, size, table[path, PARENT]) & mask
            while slots[slot] >= 0:
                slot = (slot + 1) & mask
            slots[slot] = path
    return 0
