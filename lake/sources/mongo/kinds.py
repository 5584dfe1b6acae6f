"""Which kind of typed column would hold a value exactly.

Belongs here: from BSON types and bytes to kinds. Does not: which kind a column gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.sources.mongo.scan import Bools, Int32s, Paths, Tokens

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Kinds = npt.NDArray[np.int8]

# Names that make an object look like Extended JSON, of either version.
EXTENDED_NAMES = frozenset(
    b"$oid $symbol $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $code "
    b"$scope $timestamp $regularExpression $regex $options $dbPointer $date $ref $id $db "
    b"$minKey $maxKey $undefined $type".split()
)
# Years 1 to 9999, in milliseconds: DuckDB holds more, Python and JSON readers do not.
FIRST_DATE_MS, LAST_DATE_MS = -62_135_596_800_000, 253_402_300_799_999
_PLAIN_NAN = 0x7FF8000000000000
_DECIMAL_EXPONENT_BIAS = 6176
_LARGEST_COEFFICIENT = 10**34 - 1


class Kind(IntEnum):
    """Kinds of columns; in a tie between the commonest the first wins."""

    NONE = 0
    STRUCT = 1
    LIST = 2
    STRING = 3
    INT = 4
    DOUBLE = 5
    DATE = 6
    OBJECT_ID = 7
    BOOL = 8
    DECIMAL = 9
    BINARY = 10
    NULL = 11  # no column's kind: what an element of a list may be as well
    EMPTY = 12  # {}: the same


_KIND_OF_TAG = np.zeros(256, np.int8)
for _tag, _kind in {
    0x01: Kind.DOUBLE,
    0x02: Kind.STRING,
    0x03: Kind.STRUCT,
    0x04: Kind.LIST,
    0x05: Kind.BINARY,
    0x07: Kind.OBJECT_ID,
    0x08: Kind.BOOL,
    0x09: Kind.DATE,
    0x0A: Kind.NULL,
    0x10: Kind.INT,
    0x12: Kind.INT,
    0x13: Kind.DECIMAL,
}.items():
    _KIND_OF_TAG[_tag] = _kind


@dataclass(frozen=True)
class Decimals:
    """Decimal128 values as sign, coefficient (two halves) and exponent.

    `exact` is false for NaN, the infinities, −0 and unusual encodings.
    """

    negative: Bools
    high: UInt64s
    low: UInt64s
    exponent: Int64s
    exact: Bools


class Values:
    """Reads plain values out of a batch's bytes, many at a time."""

    def __init__(self, data: bytes) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._buffer = pa.py_buffer(data)

    def fixed(self, at: Int32s, size: int) -> npt.NDArray[np.uint8]:
        """An array of len(at) × size bytes."""
        taken: npt.NDArray[np.uint8] = self._bytes[at[:, None] + np.arange(size, dtype=np.int32)]
        return taken

    def integers(self, at: Int32s, size: int) -> Int64s:
        """Little-endian signed integers of so many bytes."""
        return self.fixed(at, size).view(f"<i{size}")[:, 0].astype(np.int64)

    def doubles(self, at: Int32s) -> npt.NDArray[np.float64]:
        """Doubles with their very bits."""
        return self.fixed(at, 8).view("<f8")[:, 0]

    def pieces(self, begin: Int32s, end: Int32s) -> pa.Array:
        """Byte strings between ascending bounds that do not overlap, as pa.binary()."""
        if not len(begin):
            return pa.array([], pa.binary())
        # Between two pieces lies a gap: as one array of pieces and gaps nothing is copied yet.
        bounds = np.stack([begin, end], axis=1).ravel().astype(np.int32)
        both = pa.Array.from_buffers(
            pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), self._buffer]
        )
        return both.take(pa.array(np.arange(0, len(bounds), 2)))

    def strings(self, at: Int32s) -> pa.Array:
        """The bytes of BSON strings, without their closing zero."""
        return self.pieces(at + 4, at + 3 + self.integers(at, 4).astype(np.int32))

    def binaries(self, at: Int32s) -> pa.Array:
        """The bytes of BSON binaries of subtype 0."""
        return self.pieces(at + 5, at + 5 + self.integers(at, 4).astype(np.int32))

    def decimals(self, at: Int32s) -> Decimals:
        """Decimal128 taken apart."""
        halves = self.fixed(at, 16).view("<u8")
        low, top = halves[:, 0], halves[:, 1]
        high = top & np.uint64((1 << 49) - 1)
        negative = (top >> np.uint64(63)).astype(np.bool_)
        exponent = ((top >> np.uint64(49)) & np.uint64(0x3FFF)).astype(np.int64)
        zero = (high == 0) & (low == 0)
        limit_high, limit_low = divmod(_LARGEST_COEFFICIENT, 1 << 64)
        canonical = (high < limit_high) | ((high == limit_high) & (low <= limit_low))
        special = (top >> np.uint64(61)) & np.uint64(3) == 3
        exact = canonical & ~special & ~(zero & negative)
        return Decimals(negative, high, low, exponent - _DECIMAL_EXPONENT_BIAS, exact)


@dataclass(frozen=True)
class Classified:
    """The kind of each value, and the rows that Extended JSON can't tell for a reason that
    no single value shows: a name twice, a name that is no text, a name such as `$oid`.
    """

    kind: Kinds
    untold: Bools


def classify(tokens: Tokens, paths: Paths) -> Classified:
    """Kind.NONE stands for all that no typed column holds exactly."""
    values = Values(tokens.data)
    kind = _KIND_OF_TAG[tokens.tag]
    for tag, check in _CHECKS.items():
        found = np.flatnonzero(tokens.tag == tag)
        if len(found):
            wrong = ~check(values, tokens.at[found])
            kind[found[wrong]] = Kind.NONE
    documents = np.flatnonzero(kind == Kind.STRUCT)
    kind[documents[values.integers(tokens.at[documents], 4) == 5]] = Kind.EMPTY
    untold = np.zeros(tokens.rows, np.bool_)
    untold[list(tokens.malformed)] = True
    _mark_names(tokens, paths, kind, untold)
    return Classified(kind, untold)


def _mark_names(tokens: Tokens, paths: Paths, kind: Kinds, untold: Bools) -> None:
    nodes = list(paths.all())
    extended = np.array([node.name in EXTENDED_NAMES for node in nodes])[tokens.path]
    no_text = np.array([node.name is not None and node.text is None for node in nodes])
    is_item = np.array([node.name is None for node in nodes])[tokens.path]
    odd = no_text[tokens.path] | extended
    odd[_repeated(tokens, is_item)] = True
    kind[odd] = Kind.NONE
    # What lies in such an object goes with it: a DBRef is one value.
    owners = tokens.owner[extended]
    kind[owners[owners >= 0]] = Kind.NONE
    odd[extended & (tokens.owner >= 0)] = False
    untold[tokens.row[odd]] = True


def _repeated(tokens: Tokens, is_item: Bools) -> Int64s:
    """The entries whose name stands twice in their document."""
    order = np.argsort(tokens.path, kind="stable")
    path, owner, row = tokens.path[order], tokens.owner[order], tokens.row[order]
    same = (path[1:] == path[:-1]) & (owner[1:] == owner[:-1]) & (row[1:] == row[:-1])
    same &= ~is_item[order[1:]]
    second = np.flatnonzero(same) + 1
    return order[np.union1d(second, second - 1)]


def _plain_doubles(values: Values, at: Int32s) -> Bools:
    numbers = values.doubles(at)
    bits = values.fixed(at, 8).view("<u8")[:, 0]
    plain: Bools = ~np.isnan(numbers) | (bits == _PLAIN_NAN)
    return plain


def _proper_strings(values: Values, at: Int32s) -> Bools:
    lengths = values.integers(at, 4)
    proper: Bools = lengths >= 1
    ends = at + 3 + np.where(proper, lengths, 1).astype(np.int32)
    proper &= values.fixed(ends, 1)[:, 0] == 0
    if proper.all() and _is_utf8(values.strings(at)):
        return proper
    for index in np.flatnonzero(proper):
        proper[index] = _is_utf8(values.strings(at[index : index + 1]))
    return proper


def _is_utf8(strings: pa.Array) -> bool:
    try:
        strings.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _proper_bools(values: Values, at: Int32s) -> Bools:
    proper: Bools = values.fixed(at, 1)[:, 0] <= 1
    return proper


def _plain_binaries(values: Values, at: Int32s) -> Bools:
    plain: Bools = values.fixed(at + 4, 1)[:, 0] == 0
    return plain


def _near_dates(values: Values, at: Int32s) -> Bools:
    dates = values.integers(at, 8)
    near: Bools = (dates >= FIRST_DATE_MS) & (dates <= LAST_DATE_MS)
    return near


def _exact_decimals(values: Values, at: Int32s) -> Bools:
    return values.decimals(at).exact


_CHECKS = {
    0x01: _plain_doubles,
    0x02: _proper_strings,
    0x05: _plain_binaries,
    0x08: _proper_bools,
    0x09: _near_dates,
    0x13: _exact_decimals,
}
