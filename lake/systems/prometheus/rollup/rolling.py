"""A day of samples, summed up in one pass over its table's batches.

Belongs here: the pass. Does not: the rules of the columns (hourly), those of native histograms
(histograms), storing the rows (lake.rollup).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.systems.prometheus.rollup.histograms import (
    BOUNDS,
    HISTOGRAM,
    Histograms,
    joined,
)
from lake.systems.prometheus.rollup.hourly import KEYS, MEASURES, row_labels
from lake.systems.rollup import Layout

if TYPE_CHECKING:
    import numpy.typing as npt

    from lake.systems.rollup_labels import RowLabels

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_TS = pa.timestamp("ms", tz="UTC")
_HOUR_MS = 3_600_000
_TYPES: dict[str, pa.DataType] = {
    "hour": _TS,
    "series_id": pa.int64(),
    "metric": pa.string(),
    "samples": pa.int64(),
    "first": pa.float64(),
    "first_ts": _TS,
    "last": pa.float64(),
    "last_ts": _TS,
    "min": pa.float64(),
    "max": pa.float64(),
    "sum": pa.float64(),
    "increase": pa.float64(),
    "resets": pa.int64(),
    "stale": pa.int64(),
    "nans": pa.int64(),
    "histograms": pa.int64(),
    "histogram": HISTOGRAM,
}
_HEAD = [pa.field(name, _TYPES[name]) for name in KEYS]
_MEASURES = [pa.field(name, _TYPES[name]) for name in MEASURES]
_ONE = np.zeros(1, np.int64)  # the start of a single group


@dataclass(frozen=True)
class _Rows:
    """Samples as arrays; `labels` has a row per group: metric, labels and their map."""

    ids: Ints
    ts_ms: Ints
    values: Floats
    stale: npt.NDArray[np.bool_]
    histograms: Histograms | None

    def part(self, start: int, end: int) -> _Rows:
        """Some of the rows."""
        histograms = self.histograms and self.histograms.part(start, end)
        return self._each(lambda array: array[start:end], histograms)

    def copied(self) -> _Rows:
        """The rows without the arrays that they are a part of."""
        return self._each(lambda array: array.copy(), self.histograms and self.histograms.copied())

    def is_followed_by(self, others: _Rows) -> bool:
        """Whether the others begin in the same series and hour."""
        hours = self.ts_ms[-1] // _HOUR_MS, others.ts_ms[0] // _HOUR_MS
        return bool(self.ids[-1] == others.ids[0] and hours[0] == hours[1])

    def after(self, before: _Rows) -> _Rows:
        """All rows of the one, then these."""
        sizes = len(before.ids), len(self.ids)
        return _Rows(
            np.concatenate([before.ids, self.ids]),
            np.concatenate([before.ts_ms, self.ts_ms]),
            np.concatenate([before.values, self.values]),
            np.concatenate([before.stale, self.stale]),
            joined(before.histograms, self.histograms, sizes),
        )

    def _each(self, change: Callable[[Any], Any], histograms: Histograms | None) -> _Rows:
        return _Rows(
            change(self.ids), change(self.ts_ms), change(self.values), change(self.stale),
            histograms,
        )  # fmt: skip


class SeriesRolling:
    """See lake.systems.rollup.Rolling. Holds the rows of one series and hour at the most, beside
    a batch.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._labels = row_labels(schema)
        self.schema = pa.schema([*_HEAD, *self._labels.fields(), *_MEASURES])
        self.layout = _layout(self._labels)
        self._held: tuple[_Rows, pa.RecordBatch] | None = None

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """See Rolling."""
        if not batch.num_rows:
            return
        rows = _rows_of(batch)
        starts = _starts(rows)
        labels = pa.record_batch(self._labels.of_rows(batch, starts, ["metric"]))
        if self._held:
            held, held_labels = self._held
            if not held.is_followed_by(rows):
                yield self._summed(held, _ONE, held_labels)
            elif len(starts) == 1:
                self._held = rows.after(held), held_labels
                return
            else:
                yield self._summed(rows.part(0, int(starts[1])).after(held), _ONE, held_labels)
                rows, labels = rows.part(int(starts[1]), len(rows.ids)), labels.slice(1)
                starts = starts[1:] - starts[1]
        last = int(starts[-1])
        if last:
            yield self._summed(rows.part(0, last), starts[:-1], labels.slice(0, len(starts) - 1))
        self._held = rows.part(last, len(rows.ids)).copied(), labels.slice(len(starts) - 1)

    def finish(self) -> Iterator[pa.RecordBatch]:
        """See Rolling."""
        if self._held:
            rows, labels = self._held
            self._held = None
            yield self._summed(rows, _ONE, labels)

    def _summed(self, rows: _Rows, starts: Ints, labels: pa.RecordBatch) -> pa.RecordBatch:
        columns: dict[str, pa.Array] = {name: labels.column(name) for name in labels.schema.names}
        hours = rows.ts_ms[starts] // _HOUR_MS * _HOUR_MS
        columns["hour"] = pa.array(hours).view(_TS)
        columns["series_id"] = pa.array(rows.ids[starts])
        columns |= _measures(rows, starts)
        return pa.record_batch([columns[name] for name in self.schema.names], schema=self.schema)


def _layout(labels: RowLabels) -> Layout:
    floats = [field.name for field in _MEASURES if pa.types.is_floating(field.type)]
    times = [field.name for field in _MEASURES if pa.types.is_timestamp(field.type)]
    counts = [field.name for field in _MEASURES if pa.types.is_integer(field.type)]
    return Layout(
        sorted_by=("series_id", "hour"),
        encodings=dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
        | dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        # Not series_id: its dictionary and codes are larger than the ids as they are.
        dictionary=("hour", "metric", *labels.dictionary(), *counts, *BOUNDS),
        # Nearly all of the bytes: a tenth fewer than at level 3, and the rows are few.
        zstd_levels=dict.fromkeys((*floats, "series_id"), 15),
    )


def _rows_of(batch: pa.RecordBatch) -> _Rows:
    size = batch.num_rows
    nan = batch.column("nan")
    stale = np.zeros(size, bool)
    if nan.null_count < size:
        stale = (
            pc.equal(nan.cast(pa.string()), "stale").fill_null(False).to_numpy(zero_copy_only=False)
        )
    return _Rows(
        batch.column("series_id").to_numpy(),
        batch.column("ts").cast(pa.int64()).to_numpy(),
        _floats(batch.column("value")),
        stale,
        Histograms.of(batch.column("histogram")),
    )


def _floats(column: pa.Array) -> Floats:
    """NaN where the column is NULL."""
    values: Floats = column.to_numpy(zero_copy_only=False)
    return values


def _starts(rows: _Rows) -> Ints:
    """The first row of each series and hour."""
    hours = rows.ts_ms // _HOUR_MS
    other = (rows.ids[1:] != rows.ids[:-1]) | (hours[1:] != hours[:-1])
    return np.concatenate([np.zeros(1, np.int64), np.flatnonzero(other) + 1])


def _measures(rows: _Rows, starts: Ints) -> dict[str, pa.Array]:
    size = len(rows.ids)
    ends = np.append(starts[1:], size)
    sampled = _Sampled(starts, rows.values)
    stale = _per_group(rows.stale, starts, ends)
    histograms = _per_group(rows.histograms.has if rows.histograms else None, starts, ends)
    return {
        "samples": pa.array(sampled.counts),
        "first": sampled.column(sampled.first(rows.values)),
        "first_ts": sampled.column(sampled.first(rows.ts_ms)).view(_TS),
        "last": sampled.column(sampled.last(rows.values)),
        "last_ts": sampled.column(sampled.last(rows.ts_ms)).view(_TS),
        "min": sampled.column(sampled.least),
        "max": sampled.column(sampled.most),
        "sum": sampled.column(sampled.sums),
        "increase": sampled.column(sampled.growth),
        "resets": pa.array(sampled.resets),
        "stale": pa.array(stale),
        "nans": pa.array(ends - starts - sampled.counts - stale - histograms),
        "histograms": pa.array(histograms),
        "histogram": rows.histograms.column(rows.ts_ms, starts)
        if rows.histograms
        else pa.nulls(len(starts), HISTOGRAM),
    }


def _per_group(chosen: npt.NDArray[np.bool_] | None, starts: Ints, ends: Ints) -> Ints:
    """How many of each group's rows are chosen."""
    if chosen is None or not chosen.any():
        return np.zeros(len(starts), np.int64)
    upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(chosen)])
    counts: Ints = upto[ends] - upto[starts]
    return counts


class _Sampled:
    """What the rows of each group add up to that are not NaN: an entry per group."""

    def __init__(self, starts: Ints, values: Floats) -> None:
        from lake.systems.prometheus.rollup.loops import sum_groups  # noqa: PLC0415  compiled

        whole = [np.zeros(len(starts), np.int64) for _ in range(4)]
        floats = [np.zeros(len(starts)) for _ in range(4)]
        sum_groups(starts, values, *whole, *floats)
        self.counts, self._firsts, self._lasts, self.resets = whole
        self.least, self.most, self.sums, self.growth = floats
        self._has = self.counts > 0

    def first(self, values: Any) -> Any:
        """Of each group's first row that counts."""
        return values[self._firsts]

    def last(self, values: Any) -> Any:
        """Of the last one."""
        return values[self._lasts]

    def column(self, values: Any) -> pa.Array:
        """NULL where a group has none of the rows, and where it is not a number."""
        missing = ~self._has
        if values.dtype == np.float64:
            missing |= np.isnan(values)
            values = np.where(missing, 0.0, values)
        return pa.array(values, mask=missing)
