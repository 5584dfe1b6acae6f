"""Loops over a series' samples, compiled: bits, XOR chunks, samples that stand in messages.

Belongs here: what touches each sample of floats. Does not: frames and messages (message_loops),
native histograms (histogram_loops). Imported where it is used only: numba takes its time to
load. Nothing here looks outside the arrays it was given, whatever they hold; each function
returns a code for what was wrong.

Source: the XOR chunk of tsdb/docs/format/chunks.md.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import (
    I64,
    I64_ROWS,
    I64S,
    U8S,
    U64,
    U64S,
    VOID,
    compiled,
    load_word,
    load_word_big,
    read_varint,
    several,
)
from lake.systems.prometheus.reading.remote_read.message_loops import (
    BAD_CHUNK,
    BAD_MESSAGE,
    OK,
    UNKNOWN_ENCODING,
    XOR,
    chunk,
    field,
)

_BITS = several(U64, I64, U64, I64)


@compiled(_BITS(U8S, I64, I64, U64, I64, I64))
def take(
    data: Any, at: int, end: int, held: Any, valid: int, wanted: int
) -> tuple[Any, int, Any, int]:
    """The next 0 … 32 bits, and the reader after them: next byte, held bits, how many.

    The next byte lies behind `end` once there were too few bits.
    """
    if valid < wanted:
        while valid <= 56 and at < end:
            held = (held << np.uint64(8)) | np.uint64(data[at])
            at += 1
            valid += 8
        if valid < wanted:
            return np.uint64(0), end + 1, np.uint64(0), 0
    valid -= wanted
    bits = (held >> np.uint64(valid)) & ((np.uint64(1) << np.uint64(wanted)) - np.uint64(1))
    return bits, at, held, valid


@compiled(_BITS(U8S, I64, I64, U64, I64, I64))
def take_long(
    data: Any, at: int, end: int, held: Any, valid: int, wanted: int
) -> tuple[Any, int, Any, int]:
    """The same for 0 … 64 bits."""
    high = np.uint64(0)
    if wanted > 32:
        high, at, held, valid = take(data, at, end, held, valid, wanted - 32)
        wanted = 32
    low, at, held, valid = take(data, at, end, held, valid, wanted)
    return (high << np.uint64(32)) | low, at, held, valid


@compiled(several(I64, I64)(U8S, I64, I64, I64, I64, I64, I64S, U64S, I64))
def xor_chunk(
    data: Any,
    at: int,
    end: int,
    samples: int,
    first_ms: int,
    end_ms: int,
    ts: Any,
    values: Any,
    filled: int,
) -> tuple[int, int]:
    """The samples of one chunk's data[at:end] with first_ms <= ts < end_ms.

    Written to ts (ms) and values (the double's bits) from `filled` on. Returns a code and
    how far they are filled now.
    """
    if samples == 0:
        return OK, filled
    if filled + samples > len(ts) or filled + samples > len(values):
        return BAD_CHUNK, filled
    at += 2
    number, at = read_varint(data, at, end)
    if at < 0 or at + 8 > end:
        return BAD_CHUNK, filled
    time = np.int64((number >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(number & 1)
    bits = load_word_big(data, at)
    at += 8
    ts[filled], values[filled] = time, bits
    filled += first_ms <= time < end_ms
    if samples == 1:
        return OK, filled
    delta, at = read_varint(data, at, end)
    if at < 0:
        return BAD_CHUNK, filled
    held, valid = np.uint64(0), 0
    leading, trailing = 0, 0
    for sample in range(1, samples):
        if sample > 1:
            # Delta of deltas: 0, or 10, 110, 1110, 1111 before 14, 17, 20, 64 bits.
            bit, at, held, valid = take(data, at, end, held, valid, 1)
            if bit:
                width = 14
                bit, at, held, valid = take(data, at, end, held, valid, 1)
                if bit:
                    width = 17
                    bit, at, held, valid = take(data, at, end, held, valid, 1)
                    if bit:
                        width = 20
                        bit, at, held, valid = take(data, at, end, held, valid, 1)
                        if bit:
                            width = 64
                change, at, held, valid = take_long(data, at, end, held, valid, width)
                signed = np.int64(change)
                if width < 64 and signed > (np.int64(1) << (width - 1)):
                    signed -= np.int64(1) << width
                delta += signed
        time += delta
        bit, at, held, valid = take(data, at, end, held, valid, 1)
        if bit:
            bit, at, held, valid = take(data, at, end, held, valid, 1)
            if bit:
                both, at, held, valid = take(data, at, end, held, valid, 11)
                leading = np.int64(both >> np.uint64(6))
                width = np.int64(both & np.uint64(63))
                if width == 0:
                    width = 64
                trailing = 64 - leading - width
                if trailing < 0:
                    return BAD_CHUNK, filled
            change, at, held, valid = take_long(data, at, end, held, valid, 64 - leading - trailing)
            bits ^= change << np.uint64(trailing)
        if at > end:
            return BAD_CHUNK, filled
        ts[filled], values[filled] = time, bits
        filled += first_ms <= time < end_ms
    return OK, filled


@compiled(VOID(I64S, U64S, I64, I64, I64S))
def _summary(ts: Any, values: Any, begun: int, filled: int, row: Any) -> None:
    """How many samples, whether some do not ascend in time (0 or 1), how many are NaN."""
    disorder, nans = 0, 0
    for i in range(begun, filled):
        disorder |= i > begun and ts[i] <= ts[i - 1]
        nans += (values[i] & np.uint64(0x7FFFFFFFFFFFFFFF)) > np.uint64(0x7FF0000000000000)
    row[0], row[1], row[2] = filled - begun, disorder, nans


@compiled(I64(U8S, I64_ROWS, I64, I64, I64S, U64S, I64_ROWS))
def floats(
    data: Any, regions: Any, first_ms: int, end_ms: int, ts: Any, values: Any, summaries: Any
) -> int:
    """The samples of series whose chunks stand in data[start:stop] of each region.

    One after another in ts (ms) and values (bits). `summaries` has a row a region, see _summary.
    """
    filled = 0
    for region in range(len(regions)):
        at, stop = regions[region, 0], regions[region, 1]
        begun = filled
        if at < 0 or stop > len(data):
            return BAD_MESSAGE
        while at < stop:
            tag, content, at, _ = field(data, at, stop)
            if tag != 0x12:
                return BAD_MESSAGE
            code, encoding, start, end, samples = chunk(data, content, at)
            if code == OK and encoding == XOR:
                code, filled = xor_chunk(
                    data, start, end, samples, first_ms, end_ms, ts, values, filled
                )
            elif code == OK:
                code = UNKNOWN_ENCODING
            if code != OK:
                return code
        _summary(ts, values, begun, filled, summaries[region])
    return OK


@compiled(I64(U8S, I64_ROWS, I64, I64, I64S, U64S, I64_ROWS))
def sampled(
    data: Any, regions: Any, first_ms: int, end_ms: int, ts: Any, values: Any, summaries: Any
) -> int:
    """The same as `floats` where samples stand in data, not chunks. A zero is not written."""
    filled = 0
    for region in range(len(regions)):
        at, stop = regions[region, 0], regions[region, 1]
        begun = filled
        if at < 0 or stop > len(data):
            return BAD_MESSAGE
        while at < stop:
            tag, inside, at, _ = field(data, at, stop)
            if tag != 0x12 or filled >= len(ts) or filled >= len(values):
                return BAD_MESSAGE
            time, bits = np.int64(0), np.uint64(0)
            while inside < at:
                tag, content, inside, number = field(data, inside, at)
                if tag == 0x09:
                    bits = load_word(data, content)
                elif tag == 0x10:
                    time = number
                elif tag < 0:
                    return BAD_MESSAGE
            ts[filled], values[filled] = time, bits
            filled += first_ms <= time < end_ms
        _summary(ts, values, begun, filled, summaries[region])
    return OK
