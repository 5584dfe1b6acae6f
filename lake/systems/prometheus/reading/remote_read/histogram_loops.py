"""The samples of native histogram chunks, compiled.

Belongs here: what touches each bucket. Does not: what the buckets mean (histograms).
Imported only where there are such chunks.

Source: the description of the histogram chunks in tsdb/docs/format/chunks.md and
https://prometheus.io/docs/specs/native_histograms/ .
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import BOOL, I64, I64S, U8, U8S, U64, U64_ROWS, compiled, several
from lake.systems.prometheus.reading.remote_read.message_loops import BAD_CHUNK, OK
from lake.systems.prometheus.reading.remote_read.sample_loops import take, take_long

_STATE = several(U64, I64, U64, I64)
_STALE = np.uint64(0x7FF0000000000002)

COUNT, ZEROS, SUM = range(3)
"""The first columns of what `samples` fills; buckets follow, positive ones first."""


@compiled(_STATE(U8S, I64, I64, U64, I64, BOOL))
def varbit(
    data: Any, at: int, end: int, held: Any, valid: int, signed: bool
) -> tuple[Any, int, Any, int]:
    """A number of the histogram chunks' own code, and the reader after it.

    0, or 10 … 1111_1111 before 3, 6, 9, 12, 18, 25, 56, 64 bits.
    """
    ones = 0
    while ones < 8:
        bit, at, held, valid = take(data, at, end, held, valid, 1)
        if not bit:
            break
        ones += 1
    width = 0
    if ones == 1:
        width = 3
    elif ones == 2:
        width = 6
    elif ones == 3:
        width = 9
    elif ones == 4:
        width = 12
    elif ones == 5:
        width = 18
    elif ones == 6:
        width = 25
    elif ones == 7:
        width = 56
    elif ones == 8:
        width = 64
    number, at, held, valid = take_long(data, at, end, held, valid, width)
    if signed and 0 < width < 64 and number > (np.uint64(1) << np.uint64(width - 1)):
        number -= np.uint64(1) << np.uint64(width)
    return number, at, held, valid


@compiled(several(U64, U8, U8, I64, U64, I64)(U8S, I64, I64, U64, I64, U64, U8, U8))
def xored(
    data: Any, at: int, end: int, held: Any, valid: int, before: Any, leading: Any, trailing: Any
) -> tuple[Any, Any, Any, int, Any, int]:
    """The double after `before` as bits, the window it left, and the reader after it.

    The reader is at end + 1 where the bits make no sense, too.
    """
    bit, at, held, valid = take(data, at, end, held, valid, 1)
    if not bit:
        return before, leading, trailing, at, held, valid
    bit, at, held, valid = take(data, at, end, held, valid, 1)
    if bit:
        both, at, held, valid = take(data, at, end, held, valid, 11)
        lead = np.int64(both >> np.uint64(6))
        width = np.int64(both & np.uint64(63))
        if width == 0:
            width = 64
        if lead + width > 64:
            return before, leading, trailing, end + 1, held, 0
        leading, trailing = np.uint8(lead), np.uint8(64 - lead - width)
    change, at, held, valid = take_long(
        data, at, end, held, valid, 64 - np.int64(leading) - np.int64(trailing)
    )
    return before ^ (change << np.uint64(trailing)), leading, trailing, at, held, valid


@compiled(I64(U8S, I64, I64, BOOL, I64, I64S, U64_ROWS), allocates=True)
def samples(
    data: Any, bit: int, end: int, is_float: bool, positive: int, ts: Any, cells: Any
) -> int:
    """The samples of one chunk, from the bit after its layout on; a code.

    As many as ts (ms) has room for. `cells` has a row per sample: COUNT, ZEROS, SUM (bits),
    then `positive` buckets and the negative ones. Counts are integers, absolute, or, for a
    float histogram, doubles' bits.
    """
    buckets = cells.shape[1] - 3
    if len(cells) < len(ts):
        return BAD_CHUNK
    at, held, valid = bit >> 3, np.uint64(0), 0
    _, at, held, valid = take(data, at, end, held, valid, bit & 7)
    now = np.zeros(buckets + 3, np.uint64)  # of a bucket: its difference to the one before
    deltas = np.zeros(buckets + 3, np.uint64)
    leading = np.zeros(buckets + 3, np.uint8)
    trailing = np.zeros(buckets + 3, np.uint8)
    time, step = np.uint64(0), np.uint64(0)
    for sample in range(len(ts)):
        number, at, held, valid = varbit(data, at, end, held, valid, True)
        if sample:
            step += number
            time += step
        else:
            time = number
        stale = False
        for i in range(buckets + 3):
            if i == SUM + 1 and sample and now[SUM] == _STALE:
                stale = True  # nothing more of it is written
                break
            if (is_float or i == SUM) and sample:
                now[i], leading[i], trailing[i], at, held, valid = xored(
                    data, at, end, held, valid, now[i], leading[i], trailing[i]
                )
            elif is_float or i == SUM:
                now[i], at, held, valid = take_long(data, at, end, held, valid, 64)
            else:
                signed = sample > 0 or i > SUM
                number, at, held, valid = varbit(data, at, end, held, valid, signed)
                if sample:
                    deltas[i] += number
                    now[i] += deltas[i]
                else:
                    now[i] = number
            if at > end:
                return BAD_CHUNK
        if at > end:
            return BAD_CHUNK
        ts[sample] = np.int64(time)
        running = np.uint64(0)
        for i in range(buckets + 3):
            if i == SUM + 1 or i == SUM + 1 + positive:
                running = np.uint64(0)
            if stale and i > SUM:
                cells[sample, i] = 0
            elif i <= SUM or is_float:
                cells[sample, i] = now[i]
            else:
                running += now[i]
                cells[sample, i] = running
    return OK
