"""The texts that one number has in columns of different types.

Belongs here: which texts of a column are a number that a user writes in any way. Does not: which
columns are searched (fields).

Integers in digits are compared exactly. A fraction, or a number with an exponent, is also the
nearest double, as it is wherever such a text is read: 0.1, 1e23.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext

from lake.query.kinds import decimal_digits, quoted_text

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LARGEST = 400  # exponent: beyond that of every column's type
_EXACT_DIGITS = 15  # of a decimal that a double holds
_IN_DIGITS = 1e38  # doubles below it are digits in text beside other types


def same_number(text: str, other: str) -> bool:
    """Whether both are numbers, and equal."""
    number = _number(text)
    return number is not None and number == _number(other)


def spellings(text: str, types: Collection[str], *, in_json: bool) -> Iterator[str]:
    """SQL expressions of all texts that the number has in columns of these types, and `in_json`;
    none where the text is no number.
    """
    if (number := _number(text)) is None:
        return
    for type_ in types:
        if type_.endswith(("INT", "INTEGER")):
            yield from _as_integer(number)
        elif type_ == "DOUBLE":
            yield from _as_double(number, in_json, is_exact=bool(_INTEGER.fullmatch(text)))
        elif decimal_digits(type_):
            yield from _as_decimal(number, type_, in_json)


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if abs(number.adjusted()) < _LARGEST else None


def _as_integer(number: Decimal) -> Iterator[str]:
    if number == number.to_integral_value():
        yield quoted_text(str(int(number)))


def _as_double(number: Decimal, in_json: bool, *, is_exact: bool) -> Iterator[str]:
    double = float(number)
    if not math.isfinite(double) or (is_exact and Decimal(double) != number):
        return
    if double.is_integer() and abs(double) < _IN_DIGITS:
        yield quoted_text(str(int(double)))
    for value in (double, -double) if double == 0 else (double,):
        yield from _texts(f"CAST({quoted_text(repr(value))} AS DOUBLE)", in_json=in_json)


def _as_decimal(number: Decimal, type_: str, in_json: bool) -> Iterator[str]:
    digits, scale = decimal_digits(type_) or (0, 0)
    with localcontext(Context(prec=digits, traps=[Inexact, InvalidOperation])):
        try:
            fixed = f"{number.quantize(Decimal(1).scaleb(-scale)):f}"
        except ArithmeticError:  # more digits than the type has
            return
    yield quoted_text(fixed.rstrip("0").rstrip(".") if scale else fixed)
    # In JSON decimals are doubles, which are others with more digits.
    in_json &= len(number.as_tuple().digits) <= _EXACT_DIGITS
    yield from _texts(f"CAST({quoted_text(fixed)} AS {type_})", in_json=in_json)


def _texts(value: str, *, in_json: bool) -> Iterator[str]:
    """As DuckDB itself writes it."""
    yield f"CAST({value} AS VARCHAR)"
    if in_json:
        yield f"json_extract_string(to_json([{value}]), '$[0]')"
