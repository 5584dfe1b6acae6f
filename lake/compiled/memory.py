"""Bytes of arrays as numbers, copies and comparisons, in compiled code.

Belongs here: what numba has no word for, or what costs a bounds check too many. Does not: what the
bytes mean. Nothing here checks that a place lies in the array: the caller has done so.
"""

# numba and llvmlite do not type what they take.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lake.compiled.decorators import inlined


def read_only(data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Anything that has bytes, as an array of them that loops only read (BYTES)."""
    array = np.frombuffer(data, np.uint8)
    array.flags.writeable = False
    return array


def _loading(bits: int, *, signed: bool = False, big: bool = False, to: Any = types.int64) -> Any:
    """A load without alignment or negative index, widened to 64 bits; `big`: big-endian."""

    def load(typing_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            place = builder.bitcast(place, ir.IntType(bits).as_pointer())
            loaded = builder.load(place)
            loaded.align = 1
            if big:
                loaded = builder.bswap(loaded)
            wide = ir.IntType(64)
            return (builder.sext if signed else builder.zext)(loaded, wide) if bits < 64 else loaded

        return to(data, types.int64), generate

    return intrinsic(load)


load8, load32, load64 = (_loading(bits) for bits in (8, 32, 64))
load_int32 = _loading(32, signed=True)
load_word = _loading(64, to=types.uint64)
"""The same eight bytes as load64, as uint64."""
load32_big = _loading(32, big=True)
load_word_big = _loading(64, big=True, to=types.uint64)


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


@inlined
def load_tail(data: Any, at: int, size: int) -> Any:
    """Fewer than eight bytes as uint64, little-endian; reads nothing behind them."""
    if size == 0:
        return np.uint64(0)
    end = at + size
    if end >= 8:
        return load_word(data, end - 8) >> np.uint64(64 - 8 * size)
    word = np.uint64(0)
    for place in range(size):
        word |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return word


@inlined
def equal_bytes(data: Any, at: int, others: Any, other_at: int, size: int) -> bool:
    """Whether `size` bytes are the same; reads nothing behind them."""
    done = 0
    while size - done >= 8:
        if load64(data, at + done) != load64(others, other_at + done):
            return False
        done += 8
    left = size - done
    return load_tail(data, at + done, left) == load_tail(others, other_at + done, left)


@inlined
def starts_with(text: Any, at: int, pattern: Any) -> bool:
    """Whether the pattern's bytes stand at that place of the text; False where it ends before."""
    if at + len(pattern) > len(text):
        return False
    for place in range(len(pattern)):  # noqa: SIM110  numba has no all()
        if text[at + place] != pattern[place]:
            return False
    return True
