"""The kinds of typed columns, and plain values read out of a batch.

Belongs here: which BSON types a kind has, numpy's view of values. Does not: which kind a
value is (scan), which kind a column gets (schema).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bools = npt.NDArray[np.bool_]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
UInt8s = npt.NDArray[np.uint8]

# Years 1 to 9999, in milliseconds: DuckDB holds more, Python and JSON readers do not.
FIRST_DATE_MS, LAST_DATE_MS = -62_135_596_800_000, 253_402_300_799_999
PLAIN_NAN = 0x7FF8000000000000
DECIMAL_EXPONENT_BIAS = 6176
LARGEST_COEFFICIENT = divmod(10**34 - 1, 1 << 64)


class Kind(IntEnum):
    """Kinds of columns; in a tie between the commonest the first wins. Numbers: see numbers."""

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
    UUID = 11  # binary subtype 4, 16 bytes
    BINARY3 = 12  # binary subtype 3, 16 bytes: a UUID in one of several byte orders
    NULL = 13  # no column's kind: what an element of a list may be as well
    EMPTY = 14  # {}: the same


# Votes for number columns distinguish two more classes of values, which no value has as its kind.
BIG_INT = 15  # an integer beyond ±2^53: not every double column's
WHOLE_DOUBLE = 16  # a double that an int64 holds exactly
VOTES = 17
LARGEST_INT_IN_DOUBLE = 1 << 53
LARGEST_PRECISION = 38


KIND_OF_TAG = np.zeros(256, np.int8)
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
    KIND_OF_TAG[_tag] = _kind


class Values:
    """Reads plain values out of a batch's bytes, many at a time."""

    def __init__(self, data: UInt8s) -> None:
        self._bytes = np.frombuffer(data, np.uint8)
        self._buffer = pa.py_buffer(data)

    def fixed(self, at: Int32s, size: int) -> npt.NDArray[np.uint8]:
        """An array of len(at) × size bytes."""
        taken: npt.NDArray[np.uint8] = self._bytes[at[:, None] + np.arange(size, dtype=np.int32)]
        return taken

    def integers(self, at: Int32s, size: int) -> Int64s:
        """Little-endian signed integers of `size` bytes."""
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
