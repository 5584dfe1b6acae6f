"""Samples as a remote write request, without a Python object per sample.

Belongs here: the protobuf of remote write 1.0, where a series' samples end, markers for gaps.
Does not: sending, labels, tables.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ and prompb/types.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.protobuf import field, varint
from lake.systems.label_sets import Integers, starts_of

NAN, STALE = 0x7FF8000000000001, 0x7FF0000000000002  # as Prometheus itself writes them
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_SERIES = 0x0A
_SAMPLE, _VALUE, _TIME, _HISTOGRAM = 0x12, 0x09, 0x10, 0x22
_SHORT_VARINT, _LONG_VARINT = 6, 10
Bits = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Samples:
    """Some rows, series by series, by time in each.

    `bits` are the doubles'; `histograms` has each row's protobuf, b"" where it is a float,
    or is None where all are floats.
    """

    ids: Integers
    ts_ms: Integers
    bits: Bits
    histograms: np.ndarray[Any, np.dtype[np.object_]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: slice | np.ndarray[Any, np.dtype[np.bool_]]) -> Samples:
        """Only those."""
        histograms = None if self.histograms is None else self.histograms[rows]
        return Samples(self.ids[rows], self.ts_ms[rows], self.bits[rows], histograms)


def joined(first: Samples, then: Samples) -> Samples:
    """One after the other."""
    histograms = None
    if first.histograms is not None or then.histograms is not None:
        both = [
            np.full(len(samples), b"", object) if samples.histograms is None else samples.histograms
            for samples in (first, then)
        ]
        histograms = np.concatenate(both)
    return Samples(
        np.concatenate([first.ids, then.ids]),
        np.concatenate([first.ts_ms, then.ts_ms]),
        np.concatenate([first.bits, then.bits]),
        histograms,
    )


def with_gaps_marked(samples: Samples, step_ms: int, end_ms: int) -> Samples:
    """Without the last row, and with a stale marker where a series has no value at its next step.

    The marker stands at that step; at the day's last ms where the next step is of the next day.
    So a question at a step finds nothing where the source found nothing, though Prometheus
    looks back for minutes.
    """
    ids, ts = samples.ids, samples.ts_ms
    goes_on = ids[1:] == ids[:-1]
    following = ts[:-1] + step_ms
    at = np.where(goes_on, following, np.minimum(following, end_ms - 1))
    marked = np.where(goes_on, ts[1:] > following, at > ts[:-1])
    before = np.flatnonzero(marked) + 1
    kept = samples.part(slice(0, len(ids) - 1))
    if not len(before):
        return kept
    histograms = kept.histograms
    if histograms is not None:
        histograms = np.insert(histograms, before, b"")
    return Samples(
        np.insert(kept.ids, before, ids[before - 1]),
        np.insert(kept.ts_ms, before, at[before - 1]),
        np.insert(kept.bits, before, np.uint64(STALE)),
        histograms,
    )


def labels_field(pairs: list[tuple[str, str]]) -> bytes:
    """The labels of a TimeSeries, sorted by name as the protocol has them."""
    return b"".join(
        field(0x0A, field(0x0A, name.encode()) + field(0x12, value.encode()))
        for name, value in sorted(pairs)
    )


def histogram_field(body: bytes, ts_ms: int) -> bytes:
    """A Histogram of a TimeSeries; `body` is all of it but its time."""
    return field(_HISTOGRAM, body + b"\x78" + varint(ts_ms))


def request(samples: Samples, labels: Mapping[int, bytes]) -> bytes:
    """A WriteRequest, compressed; `labels` has the `labels_field` of each series' id."""
    encoded, width = _encoded(samples.ts_ms, samples.bits)
    parts: list[bytes | memoryview] = []
    starts = starts_of(samples.ids)
    ends = np.append(starts[1:], len(samples))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        own = labels[int(samples.ids[start])]
        for first, stop in _of_one_kind(samples, start, end):
            if samples.histograms is None or not samples.histograms[first]:
                body: bytes | memoryview = encoded[first * width : stop * width]
            else:
                times = samples.ts_ms[first:stop].tolist()
                body = b"".join(map(histogram_field, samples.histograms[first:stop], times))
            size = len(own) + len(body)
            parts += (bytes([_SERIES]) + varint(size) + own, body)
    compressed: bytes = pa.Codec("snappy").compress(b"".join(parts), asbytes=True)
    return compressed


def _of_one_kind(samples: Samples, start: int, end: int) -> list[tuple[int, int]]:
    """Runs of floats and of histograms: within a TimeSeries the floats would all go first."""
    if samples.histograms is None:
        return [(start, end)]
    is_histogram = samples.histograms[start:end].astype(bool)
    cuts = (np.flatnonzero(is_histogram[1:] != is_histogram[:-1]) + 1 + start).tolist()
    return list(zip([start, *cuts], [*cuts, end], strict=True))


def _encoded(ts_ms: Integers, bits: Bits) -> tuple[memoryview, int]:
    """A Sample field per row, all of the same width: a varint may be longer than it need be."""
    short = not len(ts_ms) or (ts_ms.min() >= 0 and ts_ms.max() < 1 << (7 * _SHORT_VARINT))
    size = _SHORT_VARINT if short else _LONG_VARINT
    made = np.empty(
        len(ts_ms),
        [("tag", "u1"), ("size", "u1"), ("v", "u1"), ("bits", "<u8"), ("t", "u1"),
         ("ts", "u1", (size,))],
    )  # fmt: skip
    made["tag"], made["size"], made["v"], made["bits"] = _SAMPLE, 10 + size, _VALUE, bits
    made["t"] = _TIME
    unsigned = ts_ms.view(np.uint64)
    for byte in range(size):
        more = 0x80 if byte < size - 1 else 0
        made["ts"][:, byte] = (unsigned >> np.uint64(7 * byte)) & np.uint64(0x7F) | np.uint64(more)
    return memoryview(made.tobytes()), made.dtype.itemsize
