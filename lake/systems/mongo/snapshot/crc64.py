"""CRC-64 of ECMA-182, reflected: what mongodump's archives carry for each collection.

Belongs here: the table, the compiled loop. Does not: what is summed (mongo_archive).
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

import numpy as np
from numba import njit
from numba.core.types import Array, uint8, uint64

_POLYNOMIAL = 0xC96C5795D7870F42
_U8 = Array(uint8, 1, "C", readonly=True)
_U64 = Array(uint64, 1, "C", readonly=True)


def _table() -> np.ndarray:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    table = np.array(found, np.uint64)
    table.flags.writeable = False
    return table


@njit(uint64(_U8, uint64, _U64), cache=True, nogil=True)
def _sum(data, before, table):  # noqa: ANN001, ANN202
    value = ~before
    for byte in data:
        value = table[(value ^ uint64(byte)) & uint64(0xFF)] ^ (value >> uint64(8))
    return ~value


_TABLE = _table()


def crc64(data: bytes, before: int = 0) -> int:
    """The sum of `data` behind what has the sum `before`."""
    return int(_sum(np.frombuffer(data, np.uint8), np.uint64(before), _TABLE))
