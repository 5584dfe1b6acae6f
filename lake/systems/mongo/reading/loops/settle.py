"""Passes over a batch's entries: which stay in columns, and which `_rest` has as well.

Belongs here: the loops of settle. Does not: the rule (settle).

An entry stands behind the one that it lies in, so one pass from the end brings a misfit up
to its outermost array, and one from the beginning down to all that lies in it.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import numpy as np

from lake.compiled import (
    BYTES,
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
from lake.systems.mongo.reading.kinds import BIG_INT, VOTES, WHOLE_DOUBLE, Kind
from lake.systems.mongo.reading.loops.numbers import (
    MISFIT,
    OTHER_TYPE,
    class_of,
    fit_of,
    integer_at,
)
from lake.systems.mongo.reading.loops.paths import FLAGS, IN_LIST, IS_ITEM, ITEM

_NONE, _STRUCT, _NULL, _EMPTY = int(Kind.NONE), int(Kind.STRUCT), int(Kind.NULL), int(Kind.EMPTY)
_INT, _DOUBLE, _DECIMAL = int(Kind.INT), int(Kind.DOUBLE), int(Kind.DECIMAL)

# For what array an array of one class votes when an element of another class joins: the
# narrowest column that holds both, or _NONE.
_JOINED = np.full((VOTES, VOTES), _NONE, np.int8)
for _left, _right, _both in [
    (_INT, BIG_INT, BIG_INT),
    (_INT, WHOLE_DOUBLE, WHOLE_DOUBLE),
    (_INT, _DOUBLE, _DOUBLE),
    (_INT, _DECIMAL, _DECIMAL),
    (BIG_INT, WHOLE_DOUBLE, BIG_INT),
    (BIG_INT, _DECIMAL, _DECIMAL),
    (WHOLE_DOUBLE, _DOUBLE, _DOUBLE),
    (WHOLE_DOUBLE, _DECIMAL, _DECIMAL),
    (_DOUBLE, _DECIMAL, _DECIMAL),
]:
    _JOINED[_left, _right] = _JOINED[_right, _left] = _both


@inlined
def _is_number(kind):
    return kind in (_INT, _DOUBLE, _DECIMAL)


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


@compiled(I64(BYTES, I32S, U8S, I32_ROWS, I32S, I32S, I8S, I8S, I8S, I8S, U8S, U8S))
def misfits_of(data, at, tag, table, path, owner, kind, chosen, scale, precision, bad, also):
    """Marks what the columns of kind chosen[path] do not hold (`bad`), and what they hold, but
    do not give back as it was (`also`): a number of another type, within an array a member
    that is null. Returns how many of the last there are.
    """
    others = 0
    for entry in range(len(path)):
        entry_kind, wanted = kind[entry], chosen[path[entry]]
        if entry_kind == wanted and wanted not in (_DECIMAL, _NONE):
            continue
        if _is_number(entry_kind) and _is_number(wanted):
            fit = fit_of(
                data, at[entry], tag[entry], entry_kind, wanted, scale[path[entry]],
                precision[path[entry]],
            )  # fmt: skip
            bad[entry] = fit == MISFIT
            also[entry] = fit == OTHER_TYPE
            others += fit == OTHER_TYPE
            continue
        flags = table[path[entry], FLAGS]
        empty = entry_kind == _NULL or (entry_kind == _EMPTY and wanted in (_STRUCT, _NONE))
        if empty and flags & IN_LIST:
            if not flags & IS_ITEM:
                also[entry] = 1
                others += 1
            elif wanted == _NONE:
                bad[entry] = 1
        else:
            bad[entry] = 1
    _spread(table, path, owner, bad)
    if others:
        for entry in range(len(path) - 1, -1, -1):
            if also[entry] and table[path[entry], FLAGS] & IN_LIST:
                also[owner[entry]] = 1
    return others


@compiled(I64(BYTES, I32S, U8S, I32_ROWS, I32S, I32S, I8S, U8S, I64_ROWS, I8S, I64_ROWS))
def misfits_anywhere(data, at, tag, table, path, owner, kind, bad, votes, element, bounds):
    """Marks what no column holds, and counts what one would: see settle.count."""
    for entry in range(len(path)):
        entry_kind = kind[entry]
        bad[entry] |= entry_kind == _NONE
        if entry_kind not in (_NONE, _NULL) and table[path[entry], FLAGS] & IS_ITEM:
            mine = np.int64(_STRUCT)
            if entry_kind != _EMPTY:
                mine = class_of(data, at[entry], tag[entry], entry_kind)
            array = owner[entry]
            before = element[array]
            if before >= 0 and before != mine:
                mine = np.int64(_JOINED[before, mine])
                bad[array] |= mine == _NONE
            element[array] = mine
    _spread(table, path, owner, bad)
    for entry in range(len(path)):
        if bad[entry]:
            continue
        place, entry_kind = path[entry], kind[entry]
        if entry_kind == _INT:
            number = integer_at(data, at[entry], tag[entry])
            bounds[place, 0] = min(bounds[place, 0], number)
            bounds[place, 1] = max(bounds[place, 1], number)
        if entry_kind not in (_NULL, _EMPTY) and not table[place, FLAGS] & IS_ITEM:
            votes[place, class_of(data, at[entry], tag[entry], entry_kind)] += 1
        if element[entry] >= 0:
            votes[table[place, ITEM], element[entry]] += 1
    return 0


@compiled(I64(I32S, I32S, U8S, U8S, I64S, I32S))
def count_held(path, owner, bad, also, bounds, left):
    """Where each path's entries begin when sorted; the outermost entries for `_rest`. Returns
    how many.
    """
    many = 0
    for entry in range(len(path)):
        mine = owner[entry]
        if not bad[entry]:
            bounds[path[entry] + 1] += 1
            if also[entry] and (mine < 0 or not also[mine]):
                left[many] = entry
                many += 1
        elif mine < 0 or not bad[mine]:
            left[many] = entry
            many += 1
    for place in range(1, len(bounds)):
        bounds[place] += bounds[place - 1]
    return many


@compiled(I64(I32S, U8S, I64S, I32S))
def sort(path, bad, free, order):
    """Sorts the entries by path; `free` is where the next one of each goes."""
    for entry in range(len(path)):
        if not bad[entry]:
            order[free[path[entry]]] = entry
            free[path[entry]] += 1
    return 0
