"""Numbers as other types hold them: exactly, or not at all.

Belongs here: int64, double and Decimal128 values as each other. Does not: which type a column
has (numbers), which values are in it (settle).

A 128-bit number is two uint64, the upper half first. numba makes a float of an int64 and a
uint64, so that no operation here mixes them.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import math

import numpy as np

from lake.compiled import (
    BOOL,
    BYTES,
    F64,
    I32S,
    I64,
    I64_ROWS,
    U64,
    compiled,
    high_product,
    inlined,
    load64,
    load_double,
    load_int32,
    several,
)
from lake.systems.mongo.reading.kinds import (
    BIG_INT,
    DECIMAL_EXPONENT_BIAS,
    LARGEST_INT_IN_DOUBLE,
    LARGEST_PRECISION,
    WHOLE_DOUBLE,
    Kind,
)

_INT, _DOUBLE, _DECIMAL = int(Kind.INT), int(Kind.DOUBLE), int(Kind.DECIMAL)
_INT32 = 0x10
# What a column makes of a number.
MISFIT, EXACT, OTHER_TYPE = 0, 1, 2

_POWERS = np.array(
    [divmod(10**power, 1 << 64) for power in range(LARGEST_PRECISION + 1)], np.uint64
)
_LIMBS = np.uint64(32)
_LIMB = np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(63)
_ZERO, _ONE, _FIVE, _TEN = np.uint64(0), np.uint64(1), np.uint64(5), np.uint64(10)
_LARGEST_BEFORE_SIGN = np.uint64((1 << 63) - 1)
_MANTISSA = np.uint64((1 << 52) - 1)
_HIDDEN = np.uint64(1 << 52)
_EXPONENT_FIELD = np.uint64(0x7FF)
_EXPONENT_AT = np.uint64(52)
_DECIMAL_HIGH = np.uint64((1 << 49) - 1)
_DECIMAL_EXPONENT_FIELD = np.uint64(0x3FFF)
_DECIMAL_EXPONENT_AT = np.uint64(49)
_DIGITS_OF_DECIMAL128 = 34  # a value with more can't be a Decimal128 when it is read again
_LARGEST_DOUBLE_INTEGER = np.uint64(1 << 53)
_MOST_FIVES = 60  # 5^60 is beyond 128 bits

_TRIPLE = several(U64, U64, U64)


@inlined
def integer_at(data, at, tag):
    """An int32 or int64."""
    return load_int32(data, at) if tag == _INT32 else load64(data, at)


@inlined
def is_whole(data, at):
    """Whether an int64 holds the double exactly: −0 it does not."""
    number = load_double(data, at)
    if not -9223372036854775808.0 <= number < 9223372036854775808.0:
        return False
    return number == float(int(number)) and (number != 0 or load64(data, at) == 0)


@inlined
def class_of(data, at, tag, kind):
    """The kind as votes distinguish it."""
    if kind == _INT:
        number = integer_at(data, at, tag)
        if not -LARGEST_INT_IN_DOUBLE <= number <= LARGEST_INT_IN_DOUBLE:
            return BIG_INT
    elif kind == _DOUBLE and is_whole(data, at):
        return WHOLE_DOUBLE
    return np.int64(kind)


@compiled(_TRIPLE(U64, U64, U64))
def _times(high, low, factor):
    """The product, and 1 where it has more than 128 bits."""
    carry = high_product(low, factor)
    upper = high * factor + carry
    over = high_product(high, factor) != _ZERO or upper < carry
    return _ONE if over else _ZERO, upper, low * factor


@compiled(_TRIPLE(U64, U64, U64))
def _over(high, low, divisor):
    """The remainder and the quotient; the divisor has at most 32 bits."""
    first = high >> _LIMBS
    rest = (first % divisor) << _LIMBS | (high & _LIMB)
    upper = (first // divisor) << _LIMBS | rest // divisor
    rest = (rest % divisor) << _LIMBS | (low >> _LIMBS)
    middle = rest // divisor
    rest = (rest % divisor) << _LIMBS | (low & _LIMB)
    return rest % divisor, upper, middle << _LIMBS | rest // divisor


@inlined
def _below(high, low, power):
    """Whether it is less than 10^power."""
    return high < _POWERS[power, 0] or (high == _POWERS[power, 0] and low < _POWERS[power, 1])


@inlined
def _coefficient(data, at):
    """Of a Decimal128 of Kind.DECIMAL."""
    return np.uint64(load64(data, at + 8)) & _DECIMAL_HIGH, np.uint64(load64(data, at))


@inlined
def _exponent(data, at):
    top = np.uint64(load64(data, at + 8))
    field = (top >> _DECIMAL_EXPONENT_AT) & _DECIMAL_EXPONENT_FIELD
    return np.int64(field) - DECIMAL_EXPONENT_BIAS


@compiled(_TRIPLE(U64, U64))
def _without_zeros(high, low):
    """How many zeros a number ends with, and the number without them. 0 has none."""
    zeros = _ZERO
    while low & _ONE == _ZERO and (high != _ZERO or low != _ZERO):
        rest, upper, lower = _over(high, low, _TEN)
        if rest != _ZERO:
            break
        high, low, zeros = upper, lower, zeros + _ONE
    return zeros, high, low


@compiled(I64(BYTES, I32S, I32S, I64_ROWS))
def shapes(data, at, entries, out):
    """Of Decimal128 values: exponent; exponent and digits of the number without end zeros.

    0 has the exponent 0 and one digit.
    """
    for row in range(len(entries)):
        place = at[entries[row]]
        high, low = _coefficient(data, place)
        out[row, 0] = out[row, 1] = _exponent(data, place)
        zeros, high, low = _without_zeros(high, low)
        out[row, 1] += np.int64(zeros)
        if high == _ZERO and low == _ZERO:
            out[row, 1] = 0
        digits = 1
        while not _below(high, low, digits):
            digits += 1
        out[row, 2] = digits
    return len(entries)


@compiled(_TRIPLE(U64))
def _double_as_decimal(bits):
    """Sign, exponent and so on: see _as_decimal. Sets the first to 2 where there is none."""
    none = np.uint64(2)
    field = (bits >> _EXPONENT_AT) & _EXPONENT_FIELD
    mantissa = bits & _MANTISSA
    if field == _EXPONENT_FIELD or bits == _ONE << _SIGN:
        return none, _ZERO, _ZERO
    if field != _ZERO:
        mantissa |= _HIDDEN
    else:
        field = _ONE
    power = np.int64(field) - 1075
    while mantissa != _ZERO and mantissa & _ONE == _ZERO:
        mantissa >>= _ONE
        power += 1
    if mantissa == _ZERO:
        power = 0
    if not -LARGEST_PRECISION <= power <= 127:
        return none, _ZERO, _ZERO
    return bits >> _SIGN, np.uint64(power + 1024), mantissa


@compiled(_TRIPLE(BYTES, I64, I64, I64, I64, I64))
def as_decimal(data, at, tag, kind, scale, precision):  # noqa: PLR0912  flat is plainer
    """MISFIT, EXACT (a Decimal128 of that very exponent) or OTHER_TYPE, and the number times
    10^scale in two's complement.
    """
    misfit, fit = (np.uint64(MISFIT), _ZERO, _ZERO), np.uint64(OTHER_TYPE)
    high, low, exponent, negative = _ZERO, _ZERO, 0, False
    if kind == _INT:
        number = integer_at(data, at, tag)
        negative = number < 0
        low = _ZERO - np.uint64(number) if negative else np.uint64(number)
    elif kind == _DOUBLE:
        sign, power, low = _double_as_decimal(np.uint64(load64(data, at)))
        if sign > _ONE:
            return misfit
        negative = sign == _ONE
        exponent = min(np.int64(power) - 1024, 0)
        factor, times = (
            (_FIVE, -exponent) if exponent < 0 else (np.uint64(2), np.int64(power) - 1024)
        )
        for _ in range(times):
            over, high, low = _times(high, low, factor)
            if over:
                return misfit
        precision = min(precision, _DIGITS_OF_DECIMAL128)
    else:
        negative = load64(data, at + 8) < 0
        high, low = _coefficient(data, at)
        exponent = _exponent(data, at)
        if exponent == -scale:
            fit = np.uint64(EXACT)
    if high == _ZERO and low == _ZERO:
        return fit, _ZERO, _ZERO
    shift = exponent + scale
    if shift > LARGEST_PRECISION:
        return misfit
    for _ in range(shift):
        over, high, low = _times(high, low, _TEN)
        if over:
            return misfit
    for _ in range(-shift):
        rest, high, low = _over(high, low, _TEN)
        if rest != _ZERO:
            return misfit
    if not _below(high, low, precision):
        return misfit
    if negative:
        high = ~high + (_ONE if low == _ZERO else _ZERO)
        low = _ZERO - low
    return fit, high, low


@compiled(several(BOOL, F64)(BYTES, I64, I64, I64))
def as_double(data, at, tag, kind):
    """Whether a double column holds an integer or a Decimal128, and the double."""
    if kind == _INT:
        number = integer_at(data, at, tag)
        fits = -LARGEST_INT_IN_DOUBLE <= number <= LARGEST_INT_IN_DOUBLE
        return fits, float(number)
    high, low = _coefficient(data, at)
    zeros, high, low = _without_zeros(high, low)
    power = _exponent(data, at) + np.int64(zeros)
    if high == _ZERO and low == _ZERO:
        return True, 0.0
    if not -_MOST_FIVES <= power <= _MOST_FIVES:
        return False, 0.0
    # c × 10^p = (c × 5^p) × 2^p; what is left of c × 5^p without factors of 2 is the mantissa.
    fives = power
    while low & _ONE == _ZERO:
        low = low >> _ONE | high << _SIGN
        high >>= _ONE
        power += 1
    for _ in range(fives):
        over, high, low = _times(high, low, _FIVE)
        if over:
            return False, 0.0
    for _ in range(-fives):
        rest, high, low = _over(high, low, _FIVE)
        if rest != _ZERO:
            return False, 0.0
    if high != _ZERO or low > _LARGEST_DOUBLE_INTEGER:
        return False, 0.0
    number = math.ldexp(float(np.int64(low)), power)
    return True, -number if load64(data, at + 8) < 0 else number


@compiled(several(BOOL, I64)(BYTES, I64, I64))
def as_integer(data, at, kind):
    """Whether an int64 holds a double or a Decimal128, and the integer."""
    if kind == _DOUBLE:
        if not is_whole(data, at):
            return False, 0
        return True, np.int64(load_double(data, at))
    fit, high, low = as_decimal(data, at, 0, kind, 0, LARGEST_PRECISION)
    extended = ~_ZERO if low > _LARGEST_BEFORE_SIGN else _ZERO
    return fit != np.uint64(MISFIT) and high == extended, np.int64(low)


@compiled(I64(BYTES, I64, I64, I64, I64, I64, I64))
def fit_of(data, at, tag, kind, wanted, scale, precision):
    """MISFIT, EXACT or OTHER_TYPE: what a column of the kind `wanted` makes of a number."""
    if wanted == _DECIMAL:
        fit, _, _ = as_decimal(data, at, tag, kind, scale, precision)
        return np.int64(fit)
    if kind == wanted:
        return EXACT
    if wanted == _DOUBLE:
        fits, _ = as_double(data, at, tag, kind)
    else:
        fits, _ = as_integer(data, at, kind)
    return OTHER_TYPE if fits else MISFIT
