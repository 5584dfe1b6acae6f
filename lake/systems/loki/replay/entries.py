"""Lines and their metadata as protobuf, by compiled loops over Arrow's buffers.

Belongs here: Loki's EntryAdapter. Does not: streams, requests, Arrow.

Source: pkg/push/push.proto of Loki: EntryAdapter {timestamp = 1, line = 2,
structuredMetadata = 3}, Timestamp {seconds = 1, nanos = 2}, LabelPairAdapter {name = 1, value = 2}.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lake.compiled import (
    BYTES,
    I64,
    I64S,
    READ_I32S,
    READ_I64S,
    U8S,
    compiled,
    inlined,
    write_varint,
)

# Of an entry beside its texts: tags, lengths, a time. Of a pair likewise.
ENTRY_OVERHEAD, PAIR_OVERHEAD = 40, 18


@inlined
def with_length(size: int) -> int:
    """How long a field of `size` bytes is: tag, length, content."""
    head = 2
    rest = size >> 7
    while rest:
        head += 1
        rest >>= 7
    return head + size


@inlined
def text(
    out: NDArray[np.uint8], at: int, tag: int, data: NDArray[np.uint8], start: int, end: int
) -> int:
    """Writes data[start:end] as a field; returns where it ends."""
    out[at] = tag
    at = write_varint(out, at + 1, np.uint64(end - start))
    for n in range(start, end):
        out[at] = data[n]
        at += 1
    return at


@compiled(
    I64(
        READ_I64S, READ_I32S, BYTES, READ_I32S, READ_I32S, BYTES, READ_I32S, BYTES, U8S, I64S
    )
)  # fmt: skip
def entries(
    ts_ns: NDArray[np.int64],
    line_at: NDArray[np.int32],
    lines: NDArray[np.uint8],
    pairs_at: NDArray[np.int32],
    key_at: NDArray[np.int32],
    keys: NDArray[np.uint8],
    value_at: NDArray[np.int32],
    values: NDArray[np.uint8],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Each row as a field `entries` of a StreamAdapter; `ends` gets where each one ends.

    `…_at` are Arrow's offsets, one more than rows or pairs. `out` has room for all texts,
    ENTRY_OVERHEAD a row and PAIR_OVERHEAD a pair.
    """
    second = 1_000_000_000
    at = 0
    for row in range(len(ts_ns)):
        seconds = ts_ns[row] // second  # floors, before 1970 too
        nanos = ts_ns[row] - seconds * second
        # The time, at a place where it does not lie in the way: it may be of any length.
        head = at + 12
        end = head
        out[end] = 0x08
        end = write_varint(out, end + 1, np.uint64(seconds))
        out[end] = 0x10
        end = write_varint(out, end + 1, np.uint64(nanos))
        time_size = end - head
        size = 2 + time_size + with_length(line_at[row + 1] - line_at[row])
        for pair in range(pairs_at[row], pairs_at[row + 1]):
            size += with_length(
                with_length(key_at[pair + 1] - key_at[pair])
                + with_length(value_at[pair + 1] - value_at[pair])
            )
        out[at] = 0x12
        at = write_varint(out, at + 1, np.uint64(size))
        out[at] = 0x0A
        out[at + 1] = time_size
        at += 2
        for n in range(time_size):
            out[at] = out[head + n]
            at += 1
        at = text(out, at, 0x12, lines, line_at[row], line_at[row + 1])
        for pair in range(pairs_at[row], pairs_at[row + 1]):
            out[at] = 0x1A
            at = write_varint(
                out, at + 1,
                np.uint64(
                    with_length(key_at[pair + 1] - key_at[pair])
                    + with_length(value_at[pair + 1] - value_at[pair])
                ),
            )  # fmt: skip
            at = text(out, at, 0x0A, keys, key_at[pair], key_at[pair + 1])
            at = text(out, at, 0x12, values, value_at[pair], value_at[pair + 1])
        ends[row] = at
    return at
