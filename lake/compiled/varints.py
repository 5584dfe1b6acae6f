"""Protocol Buffers' variable-length integers, in compiled code.

Belongs here: one number. Does not: messages and their fields.

Source: https://protobuf.dev/programming-guides/encoding/#varints
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled.decorators import inlined

_LONGEST = 10


@inlined
def read_varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """The number at data[at:end] (its low 64 bits, as int64) and where it ends; −1 without one."""
    number = np.int64(0)
    for byte in range(_LONGEST):
        if at + byte >= end:
            return number, -1
        part = np.int64(data[at + byte])
        number |= (part & 0x7F) << (7 * byte)
        if part < 0x80:
            return number, at + byte + 1
    return number, -1


@inlined
def write_varint(out: Any, at: int, number: Any) -> int:
    """Writes a uint64; returns where it ends."""
    while number > np.uint64(0x7F):
        out[at] = np.uint8((number & np.uint64(0x7F)) | np.uint64(0x80))
        number >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(number)
    return at + 1
