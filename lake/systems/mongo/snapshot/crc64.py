"""CRC-64 of ECMA-182, reflected: what mongodump's archives carry for each collection.

Belongs here: the table, the compiled loop. Does not: what is summed (mongo_archive).
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

import numpy as np

from lake.compiled import BYTES, READ_U64S, U64, compiled

_POLYNOMIAL = 0xC96C5795D7870F42


def _table() -> np.ndarray:
    values = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        values.append(value)
    table = np.array(values, np.uint64)
    table.flags.writeable = False
    return table


@compiled(U64(BYTES, U64, READ_U64S))
def _sum(data, before, table):  # noqa: ANN001, ANN202
    value = ~before
    for byte in data:
        value = table[(value ^ np.uint64(byte)) & np.uint64(0xFF)] ^ (value >> np.uint64(8))
    return ~value


_TABLE = _table()


def crc64(data: bytes, before: int = 0) -> int:
    """The sum of `data` behind what has the sum `before`."""
    return int(_sum(np.frombuffer(data, np.uint8), np.uint64(before), _TABLE))
