"""One column for a path's numbers, of whatever BSON types: the one that holds most of them.

Belongs here: the choice between BIGINT, DOUBLE and DECIMAL(p, s). Does not: whether a column
holds a certain number (loops.numbers), other types (schema).

BIGINT holds integers alone, DOUBLE integers within ±2^53 and doubles, DECIMAL decimals of any
exponents and integers; s is the day's largest number of fractional digits, or where 38 digits
are too few for that the one with which most values fit. Where doubles and decimals mix, the
commoner type decides. Each holds as well what it holds exactly of the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from lake.systems.mongo.reading.kinds import BIG_INT, LARGEST_PRECISION, WHOLE_DOUBLE, Int64s, Kind
from lake.systems.mongo.reading.loops import numbers as loops
from lake.systems.mongo.reading.scan import Tokens
from lake.systems.mongo.reading.settle import Held

NUMBERS = (Kind.INT, Kind.DOUBLE, Kind.DECIMAL)
CLASSES = (*NUMBERS, BIG_INT, WHOLE_DOUBLE)
NO_INTEGER = (np.iinfo(np.int64).max, np.iinfo(np.int64).min)
_DIGITS_OF_DOUBLE = 15
_TYPES = {Kind.INT: pa.int64(), Kind.DOUBLE: pa.float64()}

# Of a decimal: digits behind the point as it is written, the least that it needs, all digits
# without zeros at the end.
_Shape = tuple[int, int, int]


@dataclass
class Decimals:
    """The shapes of one path's Decimal128 values, and how often each is there."""

    shapes: Counter[_Shape] = field(default_factory=Counter)
    huge: int = 0

    def add(self, shapes: Int64s) -> None:
        """Rows as loops.numbers.shapes gives them."""
        different, counts = np.unique(shapes, axis=0, return_counts=True)
        for (exponent, least, digits), count in zip(
            different.tolist(), counts.tolist(), strict=True
        ):
            if -least > LARGEST_PRECISION or digits + least > LARGEST_PRECISION:
                self.huge += count  # no DECIMAL holds it
            else:
                written = min(max(-exponent, 0), LARGEST_PRECISION)
                self.shapes[written, max(-least, 0), digits + max(least, 0)] += count

    def held(self, scale: int) -> int:
        """How many DECIMAL(38, scale) holds."""
        return sum(
            count
            for (_, least, digits), count in self.shapes.items()
            if _precision(least, digits, scale) <= LARGEST_PRECISION and least <= scale
        )

    def small_integers(self) -> int:
        """How many are integers that BIGINT and DOUBLE hold for sure."""
        return sum(
            count
            for (_, least, digits), count in self.shapes.items()
            if least == 0 and digits <= _DIGITS_OF_DOUBLE
        )

    def precision(self, scale: int) -> int:
        """The digits of the longest one that DECIMAL(38, scale) holds."""
        needed = (
            _precision(least, digits, scale) for _, least, digits in self.shapes if least <= scale
        )
        return max((n for n in needed if n <= LARGEST_PRECISION), default=1)

    def scales(self) -> list[int]:
        """Those that may be the best, the largest first."""
        return sorted({0, *(n for shape in self.shapes for n in shape[:2])}, reverse=True)


def _precision(least: int, digits: int, scale: int) -> int:
    return digits - least + scale


@dataclass(frozen=True)
class NumberColumn:
    """`held`: how many of the votes it would hold."""

    kind: Kind
    type: pa.DataType
    held: int


def note_decimals(noted: dict[int, Decimals], tokens: Tokens, held: Held) -> None:
    """Adds a batch's Decimal128 values, by path."""
    for path in np.unique(tokens.path[tokens.kind == Kind.DECIMAL]).tolist():
        mine = held.of(path)
        mine = np.ascontiguousarray(mine[tokens.kind[mine] == Kind.DECIMAL])
        if len(mine):
            shapes = np.empty((len(mine), 3), np.int64)
            loops.shapes(tokens.data, tokens.at, mine, shapes)
            noted.setdefault(path, Decimals()).add(shapes)


def number_column(
    votes: Int64s, decimals: Decimals | None, integers: tuple[int, int]
) -> NumberColumn | None:
    """The best one for these votes; None without any. `integers`: the least and the largest."""
    ints, doubles, exact = (int(votes[kind]) for kind in NUMBERS)
    big, whole = int(votes[BIG_INT]), int(votes[WHOLE_DOUBLE])
    candidates = []
    if doubles or whole:
        held = ints + doubles + whole
        candidates.append(NumberColumn(Kind.DOUBLE, _TYPES[Kind.DOUBLE], held))
    if exact and decimals:
        mixed = bool(doubles or whole)
        candidates += _decimal_column(exact, decimals, ints + big, integers, mixed=mixed)
    if ints or big or whole:
        candidates.append(NumberColumn(Kind.INT, _TYPES[Kind.INT], ints + big + whole))
    best = max(candidates, key=lambda candidate: candidate.held, default=None)  # in a tie the first
    if best is None or not exact or not (doubles or whole):
        return best
    # What the best holds of the other of both types makes it no better than that one, but
    # better than a column for text or dates.
    others = whole if best.kind == Kind.DECIMAL else decimals.small_integers() if decimals else 0
    return replace(best, held=min(best.held + others, int(votes[list(CLASSES)].sum())))


def _decimal_column(
    votes: int, decimals: Decimals, ints: int, integers: tuple[int, int], *, mixed: bool
) -> list[NumberColumn]:
    """Where doubles are mixed in, the precision has room for all that would fit."""
    values = decimals.shapes.total() + decimals.huge
    digits = max(len(str(abs(number))) for number in integers) if ints else 0

    def held(scale: int) -> int:
        fit = round(votes * decimals.held(scale) / values)  # an array has one vote
        return fit + (ints if digits + scale <= LARGEST_PRECISION else 0)

    scale = max(decimals.scales(), key=held)
    if not decimals.held(scale):
        return []
    precision = max(decimals.precision(scale), scale, 1)
    if ints and digits + scale <= LARGEST_PRECISION:
        precision = max(precision, digits + scale)
    precision = LARGEST_PRECISION if mixed else precision
    type_ = pa.decimal128(precision, scale)
    return [NumberColumn(Kind.DECIMAL, type_, held(scale))]
