"""How loops over bytes are compiled, and how compiled code reads and copies bytes.

Belongs here: the decorator, types of arguments, loads that numba has no word for.
Does not: what is read (scan, locate, settle, fill).

numba keeps the machine code beside the source and looks only at the time of that one source
file: after a change here the other files' `__pycache__/*.nb*` have to go, too.
"""

# numba and llvmlite tell mypy little of what they take.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Function = Callable[..., Any]

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
U8S, I8S, I32S, I64S, F64S = (
    types.Array(kind, 1, "C")
    for kind in (types.uint8, types.int8, types.int32, types.int64, types.float64)
)
I32_ROWS, I64_ROWS = types.Array(types.int32, 2, "C"), types.Array(types.int64, 2, "C")
I64, U64, F64, BOOL = types.int64, types.uint64, types.float64, types.boolean


# No references are counted, which would cost more than the work does; so nothing that is
# compiled here makes an array.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def compiled(returns: Any, *arguments: Any) -> Callable[[Function], Function]:
    """Compiles for these types when the module is imported, or takes what was kept."""

    def decorate(function: Function) -> Function:
        made: Function = numba.njit(returns(*arguments), cache=True, **_OPTIONS)(function)
        return made

    return decorate


def inlined(function: Function) -> Function:
    """Becomes a part of the compiled functions that call it."""
    made: Function = numba.njit(forceinline=True, **_OPTIONS)(function)
    return made


def unwritable(data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Anything that has bytes, as an array of them that kernels only read (BYTES)."""
    found = np.frombuffer(data, np.uint8)
    found.flags.writeable = False
    return found


def _loading(bits: int, *, signed: bool) -> Any:
    """A little-endian load without alignment, bounds check or negative index, as int64."""

    def load(typing_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            place = builder.bitcast(place, ir.IntType(bits).as_pointer())
            loaded = builder.load(place)
            loaded.align = 1
            wide = ir.IntType(64)
            return (builder.sext if signed else builder.zext)(loaded, wide) if bits < 64 else loaded

        return types.int64(data, types.int64), generate

    return intrinsic(load)


load8 = _loading(8, signed=False)
load32 = _loading(32, signed=False)
load_int32 = _loading(32, signed=True)
load64 = _loading(64, signed=True)


@intrinsic
def load_double(typing_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
    """A little-endian double, loaded like the integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(place, ir.DoubleType().as_pointer()))
        loaded.align = 1
        return loaded

    return types.float64(data, types.int64), generate


@intrinsic
def high_product(typing_context: Any, left: Any, right: Any) -> Any:  # noqa: ARG001
    """The upper 64 bits of the product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def copy(
    typing_context: Any,  # noqa: ARG001
    target: Any,
    target_at: Any,  # noqa: ARG001
    source: Any,
    source_at: Any,  # noqa: ARG001
    size: Any,  # noqa: ARG001
) -> Any:
    """memcpy of `size` bytes between two arrays of bytes that do not overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, to_at, from_, from_at, size = arguments
        to = context.make_array(signature.args[0])(context, builder, to).data
        from_ = context.make_array(signature.args[2])(context, builder, from_).data
        to, from_ = builder.gep(to, [to_at]), builder.gep(from_, [from_at])
        cgutils.raw_memcpy(builder, to, from_, size, 1)
        return context.get_dummy_value()

    index = types.int64
    return types.void(target, index, source, index, index), generate
