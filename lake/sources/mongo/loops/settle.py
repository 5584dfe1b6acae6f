"""Passes over a batch's entries: which stay in columns.

Belongs here: the loops of settle. Does not: the rule (settle).

An entry stands behind the one that it lies in, so one pass from the end brings a misfit up
to its outermost array, and one from the beginning down to all that lies in it.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.sources.mongo.kinds import Kind
from lake.sources.mongo.loops.compiled import (
    I8S,
    I32_ROWS,
    I32S,
    I64,
    I64_ROWS,
    I64S,
    U8S,
    compiled,
    inlined,
)
from lake.sources.mongo.loops.paths import FLAGS, IN_LIST, IS_ITEM, ITEM

_NONE, _STRUCT, _NULL, _EMPTY = int(Kind.NONE), int(Kind.STRUCT), int(Kind.NULL), int(Kind.EMPTY)


@inlined
def _spread(table, path, owner, bad):
    """One misfit anywhere within an array, and all of the outermost array is one."""
    for entry in range(len(path) - 1, -1, -1):
        if bad[entry] and table[path[entry], FLAGS] & IN_LIST:
            bad[owner[entry]] = 1
    for entry in range(len(path)):
        if owner[entry] >= 0 and bad[owner[entry]]:
            bad[entry] = 1
    return 0


@compiled(I64, I32_ROWS, I32S, I32S, I8S, I8S, U8S)
def misfits_of(table, path, owner, kind, chosen, bad):
    """Marks what the columns of kind chosen[path] do not hold."""
    for entry in range(len(path)):
        found, wanted = kind[entry], chosen[path[entry]]
        fits = found == wanted
        if not fits and table[path[entry], FLAGS] & IS_ITEM:
            fits = found == _NULL or (found == _EMPTY and wanted == _STRUCT)
        bad[entry] = wanted == _NONE or not fits
    return _spread(table, path, owner, bad)


@compiled(I64, I32_ROWS, I32S, I32S, I8S, U8S, I64_ROWS, I8S)
def misfits_anywhere(table, path, owner, kind, bad, votes, element):
    """Marks what no column holds, and counts what one would: see settle.count."""
    for entry in range(len(path)):
        found = kind[entry]
        if table[path[entry], FLAGS] & IS_ITEM:
            bad[entry] |= found == _NONE
            if found != _NULL:
                found = np.int8(_STRUCT) if found == _EMPTY else found
                array = owner[entry]
                if element[array] >= 0 and element[array] != found:
                    bad[array] = 1
                element[array] = found
        else:
            bad[entry] |= found in (_NONE, _NULL, _EMPTY)
    _spread(table, path, owner, bad)
    for entry in range(len(path)):
        if not bad[entry]:
            if not table[path[entry], FLAGS] & IS_ITEM:
                votes[path[entry], kind[entry]] += 1
            if element[entry] >= 0:
                votes[table[path[entry], ITEM], element[entry]] += 1
    return 0


@compiled(I64, I32S, I32S, U8S, I64S, I32S)
def count_held(path, owner, bad, bounds, left):
    """Where each path's entries begin when sorted; the outermost misfits. Returns how many."""
    many = 0
    for entry in range(len(path)):
        if not bad[entry]:
            bounds[path[entry] + 1] += 1
        elif owner[entry] < 0 or not bad[owner[entry]]:
            left[many] = entry
            many += 1
    for place in range(1, len(bounds)):
        bounds[place] += bounds[place - 1]
    return many


@compiled(I64, I32S, U8S, I64S, I32S)
def sort(path, bad, free, order):
    """Sorts the entries by path; `free` is where the next one of each goes."""
    for entry in range(len(path)):
        if not bad[entry]:
            order[free[path[entry]]] = entry
            free[path[entry]] += 1
    return 0
