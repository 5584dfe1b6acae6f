"""Native histogram chunks as the `histogram` column has them: buckets with bounds and counts.

Belongs here: a chunk's layout, what its buckets mean. Does not: floats, tables.

Buckets are those that the query API returns: from the lowest to the highest, without empty
ones, the bounds next to the zero bucket cut at its edge.

Source: tsdb/docs/format/chunks.md (layout), https://prometheus.io/docs/specs/native_histograms/
(schemas, bounds), and the query API's own answers (which buckets, inclusive bounds).
"""

from __future__ import annotations

import math
import struct
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.errors import BadData
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE

_CUSTOM = -53  # the schema of buckets with bounds of their own
_SCHEMAS = range(-4, 9)
_STALE, _NAN = 0x7FF0000000000002, 0x7FF8000000000001
_HEADER_BYTES = 3  # how many samples, flags
_MOST_BUCKETS = 100_000
_OPEN_LEFT, _OPEN_RIGHT, _OPEN, _CLOSED = range(4)

Numbers = np.ndarray[Any, Any]


def decode(
    data: Numbers, start: int, end: int, count: int, *, is_float: bool
) -> tuple[Numbers, Numbers, pa.Array]:
    """A chunk's data[start:end]: times in ms, bits of NaNs, histograms.

    A stale marker has that NaN's bits and no histogram. Raises BadData if it is not a chunk.
    """
    from lake.systems.prometheus.reading.remote_read import (  # noqa: PLC0415
        histogram_loops,
        message_loops,
    )

    try:
        layout = _Layout(_Bits(data[start + _HEADER_BYTES : end].tobytes()))
    except (ValueError, OverflowError) as error:
        raise BadData("a histogram chunk that can't be read", found=error) from None
    positive, negative = len(layout.positive), len(layout.negative)
    ts = np.empty(count, np.int64)
    cells = np.empty((count, 3 + positive + negative), np.uint64)
    first_bit = 8 * (start + _HEADER_BYTES) + layout.bits
    code = histogram_loops.samples(data, first_bit, end, is_float, positive, ts, cells)
    if code != message_loops.OK:
        raise BadData("a histogram chunk that is truncated or invalid")
    counts = cells.view(np.float64) if is_float else cells.astype(np.float64)
    stale = cells[:, histogram_loops.SUM] == _STALE
    sums = cells[:, histogram_loops.SUM].copy().view(np.float64)
    by_place = np.concatenate(
        [
            counts[:, 3 + positive :][:, ::-1],
            counts[:, [histogram_loops.ZEROS]],
            counts[:, 3 : 3 + positive],
        ],
        axis=1,
    )
    histogram = _arrays(layout, counts[:, histogram_loops.COUNT], sums, by_place, stale)
    bits = np.where(stale, np.uint64(_STALE), np.uint64(_NAN))
    return ts, bits, histogram


def _arrays(
    layout: _Layout, counts: Numbers, sums: Numbers, by_place: Numbers, stale: Numbers
) -> pa.Array:
    lower, upper, bounds = layout.edges()
    there = (by_place != 0) & ~stale[:, None]
    at_zero = len(layout.negative)
    there[:, at_zero] &= by_place[:, at_zero] > 0  # the others are reported when negative, too
    _, places = np.nonzero(there)
    count, total, buckets = HISTOGRAM_TYPE
    item = buckets.type.value_type
    entries = pa.StructArray.from_arrays(
        [
            pa.array(lower[places]),
            pa.array(upper[places]),
            pa.array(by_place[there]),
            pa.array(bounds[places]),
        ],
        fields=list(item),
    )
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), entries, type=buckets.type)
    return pa.StructArray.from_arrays(
        [pa.array(counts), pa.array(sums), lists],
        fields=[count, total, buckets],
        mask=pa.array(stale),
    )


class _Bits:
    """Bits of bytes, the highest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data)
        self._left = self._size = 8 * len(data)

    @property
    def read(self) -> int:
        return self._size - self._left

    def take(self, wanted: int) -> int:
        if wanted > self._left:
            raise ValueError("it ends within its layout")
        self._left -= wanted
        return (self._number >> self._left) & ((1 << wanted) - 1)

    def unsigned(self) -> int:
        return self._varbit()[0]

    def signed(self) -> int:
        number, width = self._varbit()
        return number - (1 << width) if width and number > 1 << (width - 1) else number

    def _varbit(self) -> tuple[int, int]:
        ones = 0
        while ones < 8 and self.take(1):
            ones += 1
        width = (0, 3, 6, 9, 12, 18, 25, 56, 64)[ones]
        return self.take(width), width

    def double(self) -> float:
        value: float = struct.unpack(">d", self.take(64).to_bytes(8))[0]
        return value


class _Layout:
    """What all samples of a chunk share: `positive` and `negative` are buckets' indexes."""

    def __init__(self, bits: _Bits) -> None:
        self._zero_threshold = _threshold(bits)
        self.schema = bits.signed()
        if self.schema not in _SCHEMAS and self.schema != _CUSTOM:
            raise ValueError(f"schema {self.schema} is not known")
        self.positive = _indexes(bits)
        self.negative = _indexes(bits)
        custom = self.schema == _CUSTOM
        self._custom = [_custom_bound(bits) for _ in range(bits.unsigned())] if custom else []
        if custom and any(not 0 <= i <= len(self._custom) for i in self.positive + self.negative):
            raise ValueError("buckets beyond the custom bounds")
        self.bits = bits.read

    def edges(self) -> tuple[Numbers, Numbers, Numbers]:
        """Lower and upper bounds, and which are inclusive; negative, zero, positive buckets."""
        zero = self._zero_threshold
        edges = [
            *(self._cut(-self._bound(i), -self._bound(i - 1)) for i in reversed(self.negative)),
            (-zero, zero),
            *(self._cut(self._bound(i - 1), self._bound(i)) for i in self.positive),
        ]
        lower, upper = (np.array(side, np.float64) for side in zip(*edges, strict=True))
        if self.schema == _CUSTOM:
            closed_left = np.array([False] * (len(edges) - len(self.positive)) +
                                   [i == 0 for i in self.positive])  # fmt: skip
            closed_right = np.ones(len(edges), bool)
        else:
            # By the bounds before they were cut, which have the same signs.
            closed_left, closed_right = lower < 0, upper > 0
        at_zero = len(self.negative)
        closed_left[at_zero] = closed_right[at_zero] = True
        bounds = np.select(
            [closed_left & closed_right, closed_left, closed_right],
            [_CLOSED, _OPEN_RIGHT, _OPEN_LEFT],
            _OPEN,
        )
        return lower, upper, bounds.astype(np.int8)

    def _cut(self, lower: float, upper: float) -> tuple[float, float]:
        zero = self._zero_threshold
        if -zero < upper < 0:
            return lower, -zero
        if 0 < lower < zero:
            return zero, upper
        return lower, upper

    def _bound(self, index: int) -> float:
        """The upper bound of the positive bucket of this index."""
        if self.schema == _CUSTOM:
            if index < 0:
                return -math.inf
            return self._custom[index] if index < len(self._custom) else math.inf
        return exponential_bound(self.schema, index)


def exponential_bound(schema: int, index: int) -> float:
    """The upper bound of the positive bucket of this index, of a schema from -4 to 8."""
    if schema < 0:
        exponent = index << -schema
        fraction = 0.5
    else:
        exponent = index >> schema
        fraction = _fractions(schema)[index & ((1 << schema) - 1)]
    if fraction == 0.5 and exponent == 1024:
        return float(np.finfo(np.float64).max)  # infinities have the next bucket to themselves
    try:
        return math.ldexp(fraction, exponent + 1)
    except OverflowError:
        return math.inf


@cache
def _fractions(schema: int) -> list[float]:
    """Bounds in [0.5, 1): Prometheus' own table, not rounded as one would round 2^-(i/n).

    Each finer schema keeps the coarser one's bounds and multiplies for those between.
    """
    if schema == 0:
        return [0.5]
    coarser = _fractions(schema - 1)
    factor = 1.414213562373095 if schema == 1 else 2.0 ** (2.0**-schema)
    return [bound for coarse in coarser for bound in (coarse, coarse * factor)]


def _threshold(bits: _Bits) -> float:
    written = bits.take(8)
    if written == 0:
        return 0.0
    return bits.double() if written == 255 else math.ldexp(0.5, written - 243)


def _indexes(bits: _Bits) -> list[int]:
    """Of the buckets in all spans: lengths, and numbers of empty buckets before each."""
    indexes: list[int] = []
    following = 0
    for _ in range(bits.unsigned()):
        length, offset = bits.unsigned(), bits.signed()
        following += offset
        if len(indexes) + length > _MOST_BUCKETS or abs(following) > 1 << 31:
            raise ValueError(f"more than {_MOST_BUCKETS} buckets")
        indexes += range(following, following + length)
        following += length
    return indexes


def _custom_bound(bits: _Bits) -> float:
    thousandths = bits.unsigned()
    return (thousandths - 1) / 1000 if thousandths else bits.double()
