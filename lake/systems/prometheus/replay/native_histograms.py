"""Native histograms of a table as remote write has them.

Belongs here: which schema buckets with bounds belong to, spans. Does not: reading a server.

A row has its buckets that are not empty, with bounds and counts. The bounds show which of
the exponential schemas it is, and where the zero bucket ends. All are written as histograms of
floats, which is what PromQL makes of every histogram. Buckets with bounds of their own can't
be separated from those of a coarser set, and Prometheus 2 has none: they are not written.

Source: https://prometheus.io/docs/specs/native_histograms/ and prompb/types.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.protobuf import field, varint
from lake.systems.loading import Remarks

_FINEST, _COARSEST = 8, -4
_BOTH_CLOSED = 3
_COME_BACK = (
    "native histograms come back with the same buckets, counts and sums, as histograms of floats "
    "and without hints at counter resets: {}"
)
_CUSTOM = "native histograms with bounds of their own (custom buckets) are not replayed: {}"

Edges = tuple[tuple[float, float, int], ...]  # lower, upper, which are inclusive


@dataclass(frozen=True)
class _Layout:
    """Of one set of bounds: where in the row's list the zero bucket is, -1 for nowhere."""

    schema: int
    zero_threshold: float
    zero_at: int
    negative: tuple[int, ...]  # indexes of buckets, in the list's order
    positive: tuple[int, ...]


def _bound(schema: int, index: int) -> float:
    """Imported when there is a histogram: it brings compiled code along."""
    from lake.systems.prometheus.reading.remote_read.histograms import exponential_bound  # noqa: PLC0415

    return exponential_bound(schema, index)


class HistogramWriter:
    """Writes histograms and caches their layouts; one writer per partition."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks
        self._layouts: dict[Edges, _Layout | None] = {}

    def written(self, batch: pa.RecordBatch) -> tuple[Any, Any]:
        """Each row's Histogram message without its time, b"" for floats; and which are left out.

        The first is None where no row is a histogram.
        """
        left_out = np.zeros(batch.num_rows, bool)
        column = batch["histogram"]
        if column.null_count == len(column):
            return None, left_out
        bodies = np.full(len(column), b"", object)
        for row in np.flatnonzero(column.is_valid().to_numpy(False)).tolist():
            body = self._body(column[row].as_py())
            bodies[row] = body or b""
            left_out[row] = body is None
        self._remarks.add(_COME_BACK, int(bodies.astype(bool).sum()))
        if left_out.any():
            self._remarks.add(_CUSTOM, int(left_out.sum()))
        return bodies, left_out

    def _body(self, row: dict[str, Any]) -> bytes | None:
        buckets = row["buckets"] or ()
        edges: Edges = tuple(
            (bucket["lower"], bucket["upper"], bucket["bounds"]) for bucket in buckets
        )
        if edges not in self._layouts:
            self._layouts[edges] = _layout(edges)
        layout = self._layouts[edges]
        if layout is None:
            return None
        counts = [bucket["count"] for bucket in buckets]
        zeros = counts[layout.zero_at] if layout.zero_at >= 0 else 0.0
        negative = counts[: len(layout.negative)][::-1]
        positive = counts[len(counts) - len(layout.positive) :]
        return b"".join(
            [
                b"\x11" + _double(row["count"]),
                b"\x19" + _double(row["sum"]),
                b"\x20" + varint(_zigzag(layout.schema)),
                b"\x29" + _double(layout.zero_threshold),
                b"\x39" + _double(zeros),
                *(field(0x42, span) for span in _spans(layout.negative[::-1])),
                field(0x52, b"".join(map(_double, negative))),
                *(field(0x5A, span) for span in _spans(layout.positive)),
                field(0x6A, b"".join(map(_double, positive))),
            ]
        )


def _layout(edges: Edges) -> _Layout | None:
    """None where no exponential schema has these buckets."""
    zero_at = next((n for n, edge in enumerate(edges) if _is_zero_bucket(edge)), -1)
    threshold = edges[zero_at][1] if zero_at >= 0 else 0.0
    others = [(lower, upper) for n, (lower, upper, _) in enumerate(edges) if n != zero_at]
    below = [(-upper, -lower) for lower, upper in others if upper <= 0]
    above = [(lower, upper) for lower, upper in others if upper > 0]
    # The finest goes first: to a coarser one its buckets look like some that are cut.
    for schema in range(_FINEST, _COARSEST - 1, -1):
        sides = [[_index(schema, *edge) for edge in side] for side in (below, above)]
        if any(None in side for side in sides):
            continue
        cut = [
            lower
            for side, indexes in zip((below, above), sides, strict=True)
            for (lower, _), index in zip(side, indexes, strict=True)
            if index is not None and lower > _bound(schema, index - 1)
        ]
        if any(lower != (threshold or cut[0]) for lower in cut):
            continue
        negative, positive = (tuple(i for i in side if i is not None) for side in sides)
        return _Layout(schema, threshold or (cut[0] if cut else 0.0), zero_at, negative, positive)
    return None


def _is_zero_bucket(edge: tuple[float, float, int]) -> bool:
    lower, upper, bounds = edge
    return bounds == _BOTH_CLOSED and lower == -upper


def _index(schema: int, lower: float, upper: float) -> int | None:
    """The bucket with this upper bound that begins at the lower one or, if it is cut, before."""
    if not 0 <= lower < upper:
        return None
    finite = min(upper, float(np.finfo(np.float64).max))
    near = math.ceil(math.log2(finite) * 2.0**schema)
    for index in range(near - 1, near + 3):
        if _bound(schema, index) == upper:
            return index if _bound(schema, index - 1) <= lower else None
    return None


def _spans(indexes: Sequence[int]) -> list[bytes]:
    """Lengths, and numbers of empty buckets before each."""
    spans: list[tuple[int, int]] = []
    following = 0
    for index in indexes:
        if spans and index == following:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - following, 1))
        following = index + 1
    return [b"\x08" + varint(_zigzag(offset)) + b"\x10" + varint(n) for offset, n in spans]


def _zigzag(number: int) -> int:
    return (number << 1) ^ (number >> 63)


def _double(value: float) -> bytes:
    return struct.pack("<d", value)
