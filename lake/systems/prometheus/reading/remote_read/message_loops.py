"""Loops over an answer's bytes, compiled: frames and their checksums, messages, their fields.

Belongs here: what touches each byte down to a series' chunks. Does not: samples in them
(sample_loops, histogram_loops), what follows. Imported where it is used only: numba takes its
time to load. Nothing here looks outside the arrays it was given, whatever they hold; each
function returns a code for what was wrong.

Sources: prompb/remote.proto, prompb/types.proto (messages); storage/remote's chunked stream
(uvarint length, CRC32C big-endian, message).
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
    U32,
    U32_ROWS,
    compiled,
    load32,
    load32_big,
    read_varint,
    several,
)

OK = 0
MORE = 1  # the buffer ends before its last frame does
BAD_LENGTH = 2  # a frame longer than any server sends
BAD_CHECKSUM = 3
BAD_MESSAGE = 4  # no protobuf message, or one of another kind
BAD_CHUNK = 5  # a chunk that ends too early, or can't be
UNKNOWN_ENCODING = 6

XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
LARGEST_FRAME = 64 << 20
ROW_FIELDS = 7
LABELS_START, LABELS_END, CHUNKS_START, CHUNKS_END, SAMPLES, ENCODINGS, NO_SERIES = range(7)

_CASTAGNOLI = 0x82F63B78  # reflected


def _tables() -> np.ndarray[Any, Any]:
    """tables[k][b]: the CRC of byte b followed by k zero bytes."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CASTAGNOLI if crc & 1 else 0)
        tables[0, byte] = crc
    for k in range(1, 8):
        tables[k] = (tables[k - 1] >> 8) ^ tables[0, tables[k - 1] & 0xFF]
    return tables


CRC_TABLES = _tables()


@compiled(U32(U8S, I64, I64, U32_ROWS))
def crc32c(data: Any, start: int, end: int, tables: Any) -> Any:
    """CRC-32C (Castagnoli) of data[start:end], eight bytes a step."""
    crc = np.uint32(0xFFFFFFFF)
    at = start
    while at + 8 <= end:
        low = crc ^ np.uint32(load32(data, at))
        crc = np.uint32(
            tables[7, low & np.uint32(0xFF)]
            ^ tables[6, (low >> np.uint32(8)) & np.uint32(0xFF)]
            ^ tables[5, (low >> np.uint32(16)) & np.uint32(0xFF)]
            ^ tables[4, low >> np.uint32(24)]
            ^ tables[3, data[at + 4]]
            ^ tables[2, data[at + 5]]
            ^ tables[1, data[at + 6]]
            ^ tables[0, data[at + 7]]
        )
        at += 8
    while at < end:
        crc = np.uint32(
            tables[0, (crc ^ np.uint32(data[at])) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
        )
        at += 1
    return ~crc


@compiled(several(I64, I64)(U8S, I64, I64))
def varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends, for callers that are not compiled."""
    return read_varint(data, at, end)


@compiled(several(I64, I64, I64, I64)(U8S, I64, I64))
def field(data: Any, at: int, end: int) -> tuple[int, int, int, int]:
    """A protobuf field: its tag, where its content starts and ends, its number if a varint.

    The tag is -1 where there is no field, or one that does not fit.
    """
    tag, at = read_varint(data, at, end)
    if at < 0 or tag < 8:
        return -1, 0, 0, 0
    kind = tag & 7
    if kind == 0:
        number, stop = read_varint(data, at, end)
        return (tag if stop >= 0 else -1), at, stop, number
    if kind == 2:
        size, at = read_varint(data, at, end)
        if at < 0 or size < 0 or size > end - at:
            return -1, 0, 0, 0
        return tag, at, at + size, 0
    size = 8 if kind == 1 else 4
    if kind not in (1, 5) or size > end - at:
        return -1, 0, 0, 0
    return tag, at, at + size, 0


@compiled(several(I64, I64, I64, I64, I64)(U8S, I64, I64))
def chunk(data: Any, at: int, end: int) -> tuple[int, int, int, int, int]:
    """A Chunk message: a code, its encoding, where its data start and end, its samples."""
    encoding, start, stop = 0, at, at
    while at < end:
        tag, content, at, number = field(data, at, end)
        if tag < 0:
            return BAD_MESSAGE, 0, 0, 0, 0
        if tag == 0x18:
            encoding = number
        elif tag == 0x22:
            start, stop = content, at
    if stop - start < 2:
        return BAD_CHUNK, encoding, start, stop, 0
    samples = (np.int64(data[start]) << 8) | np.int64(data[start + 1])
    return OK, encoding, start, stop, samples


@compiled(I64(U8S, I64, I64, U8S, I64, I64S))
def _series(data: Any, at: int, end: int, kept: Any, kept_at: int, row: Any) -> int:
    """A ChunkedSeries message into one row; its chunks are copied to `kept` as they stand."""
    row[LABELS_START] = row[LABELS_END] = at
    row[CHUNKS_START] = row[CHUNKS_END] = kept_at
    row[SAMPLES] = row[ENCODINGS] = row[NO_SERIES] = 0
    while at < end:
        begun = at
        tag, content, at, _ = field(data, at, end)
        if tag == 0x0A:
            # Labels come first and in one piece: that piece is what a series is known by.
            if row[LABELS_END] != begun or row[CHUNKS_END] > row[CHUNKS_START]:
                return BAD_MESSAGE
            row[LABELS_END] = at
        elif tag == 0x12:
            code, encoding, _, _, samples = chunk(data, content, at)
            if code != OK:
                return code
            if encoding < XOR or encoding > FLOAT_HISTOGRAM:
                row[ENCODINGS] = encoding
                return UNKNOWN_ENCODING
            row[ENCODINGS] |= 1 << encoding
            row[SAMPLES] += samples
            for i in range(at - begun):
                kept[row[CHUNKS_END] + i] = data[begun + i]
            row[CHUNKS_END] += at - begun
        else:
            return BAD_MESSAGE
    return OK


@compiled(several(I64, I64, I64, I64)(U8S, I64, I64, U32_ROWS, U8S, I64_ROWS))
def scan(
    data: Any, at: int, end: int, tables: Any, kept: Any, rows: Any
) -> tuple[int, int, int, int]:
    """Whole frames of data[at:end]: a code, where it stopped, bytes kept, rows.

    A row is one ChunkedSeries message: its labels in `data`, its chunks in `kept`, which
    has to be as long as data. MORE: call again with the rest and what follows it, or,
    where nothing was used up, with a larger buffer; also where `rows` are full.
    """
    kept_at, count = 0, 0
    while True:
        size, start = read_varint(data, at, end)
        if start < 0:
            return (BAD_LENGTH if end - at >= 10 else MORE), at, kept_at, count
        if size < 0 or size > LARGEST_FRAME:
            return BAD_LENGTH, at, kept_at, count
        start += 4
        stop = start + size
        if stop > end or count + 64 > len(rows):
            return MORE, at, kept_at, count
        checksum = np.uint32(load32_big(data, start - 4))
        if crc32c(data, start, stop, tables) != checksum:
            return BAD_CHECKSUM, at, kept_at, count
        inside = start
        while inside < stop:
            tag, content, inside, _ = field(data, inside, stop)
            if tag == 0x0A:
                if count == len(rows):
                    return BAD_MESSAGE, at, kept_at, count  # a frame of more series than usual
                code = _series(data, content, inside, kept, kept_at, rows[count])
                if code != OK:
                    return code, at, kept_at, count
                kept_at = rows[count, CHUNKS_END]
                count += 1
            elif tag != 0x10:  # query_index: there is one query
                return BAD_MESSAGE, at, kept_at, count
        at = stop


@compiled(several(I64, I64, I64, I64)(U8S, I64, I64, U8S, I64_ROWS))
def scan_samples(data: Any, at: int, end: int, kept: Any, rows: Any) -> tuple[int, int, int, int]:
    """Series of a QueryResult, data[at:end]: a code, where it stopped, bytes kept, rows.

    As `scan`, with one row a TimeSeries message, whose samples are kept. MORE: `rows` were
    full.
    """
    kept_at, count = 0, 0
    while at < end:
        tag, content, stop, _ = field(data, at, end)
        if tag != 0x0A:
            return BAD_MESSAGE, at, kept_at, count
        if count == len(rows):
            return MORE, at, kept_at, count
        row = rows[count]
        row[LABELS_START] = row[LABELS_END] = content
        row[CHUNKS_START] = row[CHUNKS_END] = kept_at
        row[SAMPLES], row[ENCODINGS] = 0, 1
        inside = content
        while inside < stop:
            begun = inside
            tag, _, inside, _ = field(data, inside, stop)
            if tag == 0x0A:
                if row[LABELS_END] != begun or row[CHUNKS_END] > row[CHUNKS_START]:
                    return BAD_MESSAGE, at, kept_at, count
                row[LABELS_END] = inside
            elif tag == 0x12:
                row[SAMPLES] += 1
                for i in range(inside - begun):
                    kept[row[CHUNKS_END] + i] = data[begun + i]
                row[CHUNKS_END] += inside - begun
            elif tag == 0x22:
                row[ENCODINGS] = HISTOGRAM
                return UNKNOWN_ENCODING, at, kept_at, count
            elif tag < 0:
                return BAD_MESSAGE, at, kept_at, count
        kept_at = row[CHUNKS_END]
        count += 1
        at = stop
    return OK, at, kept_at, count
