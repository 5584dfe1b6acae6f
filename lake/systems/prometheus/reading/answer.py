"""A matrix in JSON turned into arrays, without a Python object per sample.

Belongs here: the JSON of range queries, how times and values are written in it.
Does not: HTTP, envelopes' meaning (api), the loops over bytes (scan), labels' columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lake.base.errors import BadData
from lake.http.client import HttpAnswer, shortened
from lake.systems.prometheus.reading.plan import Window

if TYPE_CHECKING:
    import numpy.typing as npt

TS_TYPE = pa.timestamp("ms", tz="UTC")
HISTOGRAM_TYPE = pa.struct(
    [
        ("count", pa.float64()),
        ("sum", pa.float64()),
        (
            "buckets",
            pa.list_(
                pa.struct(
                    [
                        ("lower", pa.float64()),
                        ("upper", pa.float64()),
                        ("count", pa.float64()),
                        # 0: open left, 1: open right, 2: both open, 3: both closed
                        ("bounds", pa.int8()),
                    ]
                )
            ),
        ),
    ]
)

_RESULT = b'"result":['
_SHORTEST_SERIES = len(b'{"metric":{},"values":[[1,"2"]]}')
_SHORTEST_SAMPLE = len(b'1,"2"],[')


@dataclass(frozen=True)
class Matrix:
    """An answer's series. Samples lie one after another, series by series, by time in each.

    `labels` holds each series' JSON object, `rows` how many samples it has. `step_of` is
    whole steps since the window's start, `values` NaN where a sample is a histogram;
    `histograms` is None where no sample is one.
    """

    envelope: Any
    labels: Sequence[bytes]
    rows: npt.NDArray[np.int64]
    step_of: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    histograms: pa.Array | None = None


def matrix(answer: HttpAnswer, window: Window, *, clip: bool = False) -> Matrix:
    """All of an answer; `clip` passes over samples from before the window.

    Times are exact to the ms, values are the doubles that are written, with infinities
    and −0; every NaN is the same. Raises TransientError where the body broke off, BadData
    where it is not a matrix, or has other times than the window's steps, each series' ascending.
    """
    scanned = _scanned(answer.content, window, clip=clip)
    if scanned is None:
        envelope = answer.json()
        if isinstance(envelope, dict) and envelope.get("status") == "error":
            return Matrix(envelope, [], np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
        scanned = _scanned(_compacted(envelope), window, clip=clip)
    if scanned is None:
        raise BadData(
            "not a response to a range query",
            where=answer.url,
            expected="series with metric, values, histograms; numbers as samples",
            found=shortened(answer.content[:2000].decode(errors="replace")),
        )
    return scanned


def _scanned(body: bytes, window: Window, *, clip: bool) -> Matrix | None:
    """None where the body has another shape, or is broken. A bytes object ends with a NUL."""
    from lake.systems.prometheus.reading import scan  # noqa: PLC0415  compiled code

    start = body.find(_RESULT) + len(_RESULT)
    if start < len(_RESULT):
        return None
    # Room for whatever may come; what is not used is never touched.
    most, room = len(body) // _SHORTEST_SERIES + 1, len(body) // _SHORTEST_SAMPLE + 1
    spans, texts = np.empty((most, 3), np.int64), np.empty((most, 2), np.int64)
    step_of, ends = np.empty(room, np.int32), np.empty(room + 1, np.int32)
    text, numbers = np.frombuffer(body, np.uint8), np.empty(len(body), np.uint8)
    how, series, samples, end = scan.matrix(
        text, start, window.start_ms, window.step_ms, window.steps, clip,
        spans, texts, step_of, numbers, ends,
    )  # fmt: skip
    if how == scan.OTHER_TIMES:
        _refuse_times(body, end, window)
    if how != scan.DONE:
        return None
    try:
        envelope = json.loads(body[:start] + body[end:])
        values = _doubles(numbers, ends, samples)
    except ValueError:  # pyarrow's, too, is one
        return None
    step_of, spans, texts = step_of[:samples], spans[:series], texts[:series]
    labels = [body[begin:stop] for begin, stop in spans[:, :2].tolist()]
    matrix = Matrix(envelope, labels, spans[:, 2], step_of, values)
    if not texts.any():
        return matrix
    return _with_histograms(matrix, body, texts.tolist(), window, clip=clip)


def _doubles(
    texts: npt.NDArray[np.uint8], ends: npt.NDArray[np.int32], number: int
) -> npt.NDArray[np.float64]:
    """Of each text the nearest double. Raises ArrowInvalid where one is not a number."""
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(texts)]
    written = pa.Array.from_buffers(pa.string(), number, buffers)
    values: npt.NDArray[np.float64] = written.cast(pa.float64()).to_numpy()
    return values


def _refuse_times(body: bytes, end: int, window: Window) -> None:
    raise BadData(
        "a response with other times than those requested",
        expected=f"{window.steps} steps of {window.step_ms} ms from {window.start_ms} on",
        found=shortened(body[max(0, end - 60) : end + 1].decode(errors="replace")),
        remedy="turn off step alignment of queries in the proxy in front of the server",
    )


def _compacted(envelope: Any) -> bytes:
    """The same answer as the usual servers write it."""
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        order = ("metric", "values", "histograms")
        result = [
            {key: series[key] for key in order if series.get(key) or key == "metric"}
            for series in data["result"]
            if isinstance(series, dict) and "metric" in series
        ]
        if len(result) == len(data["result"]):
            envelope = {**envelope, "data": {**data, "result": result}}
    return json.dumps(envelope, separators=(",", ":")).encode()


def _with_histograms(
    floats: Matrix, body: bytes, texts: list[list[int]], window: Window, *, clip: bool
) -> Matrix:
    """Histograms and floats of each series in the order of time. Raises BadData."""
    step_of, rows, arrays = [], [], []
    sources = []  # row of `floats`, or where NaN is appended to it
    places = []  # of the histograms; -1: a float
    ends, done = np.cumsum(floats.rows), 0
    for (begin, stop), end, count in zip(texts, ends, floats.rows, strict=True):
        own = np.arange(end - count, end)
        steps, histograms = _histograms_in(body[begin:stop], window, clip=clip)
        both = np.concatenate([floats.step_of[own], steps])
        order = np.argsort(both, kind="stable")
        if (np.diff(both[order]) <= 0).any():
            raise BadData("two samples of a series at one time", found=shortened(str(texts)))
        sources.append(np.concatenate([own, np.full(len(steps), len(floats.values))])[order])
        places.append(np.concatenate([np.full(count, -1), done + np.arange(len(steps))])[order])
        arrays.append(histograms)
        done += len(steps)
        step_of.append(both[order])
        rows.append(len(both))
    values = np.append(floats.values, np.nan)[np.concatenate(sources)]
    at = np.concatenate(places)
    return Matrix(
        floats.envelope, floats.labels, np.array(rows), np.concatenate(step_of), values,
        pa.concat_arrays(arrays).take(pa.array(at, mask=at < 0)),
    )  # fmt: skip


def _histograms_in(
    text: bytes, window: Window, *, clip: bool
) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """Steps and histograms. Raises BadData."""
    steps: list[int] = []
    entries: list[dict[str, Any]] = []
    try:
        for at, entry in json.loads(b"[[" + text + b"]]") if text else ():
            at_ms = round(float(at) * 1000)
            step, off = divmod(at_ms - window.start_ms, window.step_ms)
            if off or not 0 <= step < window.steps:
                if clip and step < 0:
                    continue
                _refuse_times(str(at_ms).encode(), 60, window)
            steps.append(step)
            entries.append(entry)
        return np.array(steps, np.int32), _histograms(entries)
    except (ValueError, KeyError, TypeError) as error:
        raise BadData("histograms that can't be read", found=shortened(str(error))) from error


def _histograms(entries: Sequence[Mapping[str, Any]]) -> pa.Array:
    """Raises ValueError, KeyError, TypeError. By columns: there are tens of buckets an entry."""
    count, total, buckets = HISTOGRAM_TYPE
    listed = [entry.get("buckets", ()) for entry in entries]
    flat = [bucket for of_entry in listed for bucket in of_entry]
    bounds, lower, upper, number = zip(*flat, strict=True) if flat else ((), (), (), ())
    item = pa.StructArray.from_arrays(
        [_numbers(lower), _numbers(upper), _numbers(number), pa.array(bounds, pa.int8())],
        fields=list(buckets.type.value_type),
    )
    offsets = np.cumsum([0, *map(len, listed)]).astype(np.int32)
    return pa.StructArray.from_arrays(
        [
            _numbers([entry["count"] for entry in entries]),
            _numbers([entry["sum"] for entry in entries]),
            pa.ListArray.from_arrays(pa.array(offsets), item, type=buckets.type),
        ],
        fields=[count, total, buckets],
    )


def _numbers(texts: Sequence[Any]) -> pa.Array:
    """Of each text, or number, the nearest double. Raises ValueError, TypeError."""
    try:
        numbers = pa.array(texts, pa.string()).cast(pa.float64())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([float(text) for text in texts], pa.float64())
    if numbers.null_count:
        raise ValueError("null instead of a number")
    return numbers
