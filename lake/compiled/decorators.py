"""How a loop is compiled, and the types of its arguments.

Belongs here: the decorators and names of types. Does not: what a loop does, where machine code is
kept (cache).
"""

# numba does not type what it takes.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types

from lake.compiled.cache import kept

Function = Callable[..., Any]

BOOL, F64, I64, U32, U64 = types.boolean, types.float64, types.int64, types.uint32, types.uint64
U8, VOID = types.uint8, types.void


def readonly(item: Any) -> Any:
    """A one-dimensional array that the loop does not write; writable ones fit, too."""
    return types.Array(item, 1, "C", readonly=True)


def rows(item: Any) -> Any:
    """A two-dimensional array."""
    return types.Array(item, 2, "C")


def several(*items: Any) -> Any:
    """What a loop returns that returns more than one value."""
    return types.BaseTuple.from_types(items)


U8S, I8S, I32S, I64S, U64S, F64S = (
    types.Array(item, 1, "C")
    for item in (
        types.uint8, types.int8, types.int32, types.int64, types.uint64, types.float64,
    )
)  # fmt: skip
U8_ROWS, I32_ROWS, I64_ROWS = rows(types.uint8), rows(types.int32), rows(types.int64)
U32_ROWS, U64_ROWS = rows(types.uint32), rows(types.uint64)
BYTES, READ_I32S, READ_I64S = readonly(types.uint8), readonly(types.int32), readonly(types.int64)
READ_U64S, READ_F64S = readonly(types.uint64), readonly(types.float64)

# numpy's error model leaves out the checks for a division by zero. Without numba's run-time
# (`_nrt`) no references are counted, which would cost more than the loop does; such a loop can't
# make an array.
_OPTIONS = {"nogil": True, "error_model": "numpy"}


def compiled(*signatures: Any, allocates: bool = False) -> Callable[[Function], Function]:
    """Compiles a loop for these signatures, `I64(BYTES, I64)`, when its module is imported.

    The machine code is kept in the user's cache folder. `allocates`: the loop makes arrays.
    """

    def decorate(function: Function) -> Function:
        with kept(function) as cache:
            return numba.njit(list(signatures), cache=cache, _nrt=allocates, **_OPTIONS)(function)

    return decorate


def inlined(function: Function) -> Function:
    """Makes a function a part of the compiled loops that call it."""
    return numba.njit(forceinline=True, _nrt=False, **_OPTIONS)(function)
