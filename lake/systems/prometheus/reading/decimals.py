"""Decimal text to doubles, compiled: the very double that is nearest to what is written.

Belongs here: one number's text. Does not: where in an answer it stands.

Three ways, each exact or not taken: up to 2⁵³ and powers of ten up to 10²² (both are
doubles, so one rounding is the right one); 128 bits of the power of five (Eisel and Lemire,
"Number Parsing at a Gigabyte per Second", 2021, doi 10.1002/spe.2984, section 5); what is left
over (subnormal numbers, more than 19 digits, doubt) is for the caller to read by other means.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit
from numba.core.types import UniTuple, float64, uint64
from numba.extending import intrinsic

# How `number` took its text.
WRONG, READ, LEFT_OVER = 0, 1, 2

_SMALLEST, _LARGEST = -307, 308  # powers of ten that can give a normal double


def _power_of_five(q: int) -> int:
    """128 bits of 5^q, the highest one set: cut off, or for q < 0 the reciprocal rounded up."""
    power: int = 5 ** abs(q)
    if q >= 0:
        shift = power.bit_length() - 128
        return power >> shift if shift > 0 else power << -shift
    reciprocal = (1 << (2 * power.bit_length() + 128)) // power + 1
    return reciprocal >> (reciprocal.bit_length() - 128)


_POWERS = [_power_of_five(q) for q in range(_SMALLEST, _LARGEST + 1)]
_HIGH = np.array([power >> 64 for power in _POWERS], np.uint64)
_LOW = np.array([power & (2**64 - 1) for power in _POWERS], np.uint64)
_EXACT_TENS = np.array([10.0**n for n in range(23)])

_0, _1, _2, _3, _9, _10, _64 = (np.uint64(n) for n in (0, 1, 2, 3, 9, 10, 64))
_TOP, _IMPLIED, _ALL = np.uint64(1 << 63), np.uint64(1 << 52), np.uint64(2**64 - 1)
_FULL = np.uint64(1 << 53)
_CARRIED = np.uint64(1 << 53)
_MASK = np.uint64(0x1FF)


def _multiply(typing: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    """High and low half of the 128 bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wide = ir.IntType(128)
        both = builder.mul(*(builder.zext(value, wide) for value in values))
        high = builder.trunc(builder.lshr(both, ir.Constant(wide, 64)), ir.IntType(64))
        low = builder.trunc(both, ir.IntType(64))
        return context.make_tuple(builder, signature.return_type, (high, low))

    pair = UniTuple(uint64, 2)  # type: ignore[no-untyped-call]
    return pair(uint64, uint64), generate


def _reinterpret(typing: Any, bits: Any) -> Any:  # noqa: ARG001
    """The double of these bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(values[0], ir.DoubleType())

    return float64(uint64), generate


# numba's own types say that intrinsics take the typing context, which they do not.
_product: Any = intrinsic(_multiply)
_double: Any = intrinsic(_reinterpret)


@njit(inline="always")
def _scaled(digits: Any, q: Any) -> Any:
    """digits × 10^q as a positive double; the flag is False where it is left over."""
    if q < _SMALLEST or q > _LARGEST:
        return 0.0, False
    zeros = _0
    w = digits
    while w & _TOP == _0:
        w <<= _1
        zeros += _1
    high, low = _product(w, _HIGH[q - _SMALLEST])
    if high & _MASK == _MASK:
        more, _ = _product(w, _LOW[q - _SMALLEST])
        low += more
        if more > low:
            high += _1
        if low == _ALL:
            return 0.0, False
    upper = high >> np.uint64(63)
    mantissa = high >> (upper + _9)
    exponent = ((217706 * q) >> 16) + 63 + np.int64(upper) - np.int64(zeros) + 1023
    if exponent <= 0:
        return 0.0, False
    # Exactly between two doubles: to the even one. Only these powers can do that.
    if low <= _1 and -4 <= q <= 23 and mantissa & _3 == _1 and (mantissa << (upper + _9)) == high:
        mantissa &= ~_1
    mantissa += mantissa & _1
    mantissa >>= _1
    if mantissa >= _CARRIED:
        mantissa = _IMPLIED
        exponent += 1
    if exponent >= 2047:
        return 0.0, False
    return _double((mantissa & ~_IMPLIED) | (np.uint64(exponent) << np.uint64(52))), True


@njit(inline="always")
def number(text: Any, at: Any) -> Any:  # noqa: PLR0912, PLR0915
    """(value, where it ends, how): JSON's numbers, a leading +, NaN, Inf. Ends before `"`.

    LEFT_OVER has no value, but the text from `at` to the end is a number. The text must go
    on after it.
    """
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    digits, seen, exponent, kept = _0, 0, 0, 0
    dropped = False
    while True:
        digit = np.uint64(text[at]) - np.uint64(48)
        if digit > _9:
            break
        if kept < 19:
            digits = digits * _10 + digit
            kept += digits != _0
        else:
            dropped |= digit != _0
            exponent += 1
        seen += 1
        at += 1
    if text[at] == 46:
        at += 1
        while True:
            digit = np.uint64(text[at]) - np.uint64(48)
            if digit > _9:
                break
            if kept < 19:
                digits = digits * _10 + digit
                kept += digits != _0
                exponent -= 1
            else:
                dropped |= digit != _0
            seen += 1
            at += 1
    if seen == 0:
        if text[at] == 73 and text[at + 1] == 110 and text[at + 2] == 102:
            return (-np.inf if negative else np.inf), at + 3, READ
        if text[at] == 78 and text[at + 1] == 97 and text[at + 2] == 78 and not negative:
            return np.nan, at + 3, READ
        return 0.0, at, WRONG
    if text[at] == 101 or text[at] == 69:
        at += 1
        down = text[at] == 45
        if down or text[at] == 43:
            at += 1
        written: Any = 0
        first = at
        while True:
            digit = np.uint64(text[at]) - np.uint64(48)
            if digit > _9:
                break
            if written < 100_000:
                written = written * 10 + np.int64(digit)
            at += 1
        if at == first:
            return 0.0, at, WRONG
        exponent += -written if down else written
    if digits == _0:
        return (-0.0 if negative else 0.0), at, READ
    if digits <= _FULL and -22 <= exponent <= 22 and not dropped:
        value = np.float64(digits)
        value = value / _EXACT_TENS[-exponent] if exponent < 0 else value * _EXACT_TENS[exponent]
        return (-value if negative else value), at, READ
    if dropped:
        return 0.0, at, LEFT_OVER
    value, exact = _scaled(digits, exponent)
    if not exact:
        return 0.0, at, LEFT_OVER
    return (-value if negative else value), at, READ
