"""Lines as a push request of Loki's, without a Python object per line.

Belongs here: the protobuf, a stream's labels as text, requests of a bearable size.
Does not: sending, tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.protobuf import field, varint
from lake.systems.label_sets import Integers
from lake.systems.loki.replay import entries as compiled
from lake.systems.loki.replay.label_values import quoted

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
_STREAM, _LABELS = 0x0A, 0x0A
_MOST_BYTES = 4 << 20  # of a request before it is compressed; a longer line has one to itself


def stream_labels(pairs: Sequence[tuple[str, str]]) -> bytes:
    """The field `labels` of a StreamAdapter: `{name="value"}`, quoted as Go reads it."""
    labels = ", ".join(f"{name}={quoted(value)}" for name, value in sorted(pairs))
    return field(_LABELS, f"{{{labels}}}".encode())


def without_lines(labels: str) -> bytes:
    """A PushRequest of one stream that has no lines."""
    body = field(_STREAM, field(_LABELS, labels.encode()))
    compressed: bytes = pa.Codec("snappy").compress(body, asbytes=True)
    return compressed


def requests(batch: pa.RecordBatch, starts: Integers, labels: Sequence[bytes]) -> Iterator[bytes]:
    """PushRequests, compressed, with all lines in their order.

    `starts` are the rows where a stream begins, `labels` its `stream_labels`.
    """
    encoded, ends = _entries(batch)
    snappy = pa.Codec("snappy")
    parts: list[bytes | memoryview] = []
    held = 0
    for row, stop, own in zip(
        starts.tolist(), [*starts.tolist()[1:], len(ends)], labels, strict=True
    ):
        first = row
        while first < stop:
            begin = int(ends[first - 1]) if first else 0
            room = max(_MOST_BYTES - held, 0)
            last = int(np.searchsorted(ends[first:stop], begin + room, side="right")) + first
            if last == first:
                if parts:
                    yield snappy.compress(b"".join(parts), asbytes=True)
                    parts, held = [], 0
                    continue
                last = first + 1
            body = encoded[begin : int(ends[last - 1])]
            size = len(own) + len(body)
            parts += (bytes([_STREAM]) + varint(size) + own, body)
            held += size
            first = last
    if parts:
        yield snappy.compress(b"".join(parts), asbytes=True)


def _entries(batch: pa.RecordBatch) -> tuple[memoryview, Integers]:
    ts_ns, lines, pairs = batch["ts_ns"].to_numpy(), batch["line"], batch["metadata"]
    pairs_at = np.frombuffer(pairs.offsets.buffers()[1], np.int32)
    pairs_at = pairs_at[pairs.offsets.offset :][: len(pairs) + 1]
    line_at, line_data = _texts(lines)
    key_at, keys = _texts(pairs.keys)
    value_at, values = _texts(pairs.items)
    first, last = int(pairs_at[0]), int(pairs_at[-1])
    room = (
        int(line_at[-1] - line_at[0])
        + int(key_at[last] - key_at[first] + value_at[last] - value_at[first])
        + compiled.ENTRY_OVERHEAD * (len(ts_ns) + 1)
        + compiled.PAIR_OVERHEAD * (last - first)
    )
    out, ends = np.empty(room, np.uint8), np.empty(len(ts_ns), np.int64)
    size = compiled.entries(
        ts_ns, line_at, line_data, pairs_at, key_at, keys, value_at, values, out, ends
    )
    return out[:size].data, ends


def _texts(texts: pa.Array) -> tuple[Any, Any]:
    """Offsets, one more than there are texts, and the bytes that they count."""
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, np.int32) if offsets and offsets.size else np.zeros(1, np.int32)
    at = at[texts.offset :][: len(texts) + 1]
    return at, np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
