"""Series and their samples as arrays, turned into the record batches of a Prometheus table.

Belongs here: fixed columns, labels' columns, encodings. Does not: where samples are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lake.base.errors import TransientError
from lake.systems.labels import MAP_COLUMN, MAP_TYPE, column_names, has_column
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE, TS_TYPE

if TYPE_CHECKING:
    import numpy.typing as npt

_NAME = "__name__"
# Of a dictionary's type: the writer takes the codes as they are and hashes no text again.
_CODED = pa.dictionary(pa.int32(), pa.string())
_FIXED = [
    pa.field("ts", TS_TYPE),
    pa.field("metric", _CODED),
    pa.field("value", pa.float64()),
    pa.field("nan", _CODED),
    pa.field("series_id", pa.int64()),
    pa.field("histogram", HISTOGRAM_TYPE),
]
_TAKEN = frozenset({*(field.name for field in _FIXED), MAP_COLUMN, "day", _NAME})
_NANS = pa.array(["nan", "stale"])
_NAN_CODE, _STALE_CODE = 0, 1

# A whole row group of the writer's, so that it has nothing to put together.
BATCH_ROWS = 131_072
SORTED_BY = ("series_id", "ts")
ENCODINGS = {"ts": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}
MOST_SERIES = 8192  # in a block: their labels are Python objects for a moment


@dataclass(frozen=True)
class Block:
    """Series one after another by ascending id, each with its next rows.

    `ids`, `labels` and `rows` (how many follow, at least 1) have an entry per series; `ts_ms`,
    `values` and, where there are any, `histograms` and `stale` an entry per row. A value is NaN
    where the row has a NaN, a stale marker (then `stale` is True) or a histogram.
    """

    ids: npt.NDArray[np.int64]
    labels: Sequence[Mapping[str, str]]
    rows: npt.NDArray[np.int64]
    ts_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    histograms: pa.Array | None = None
    stale: npt.NDArray[np.bool_] | None = None


def label_columns(names: Iterable[str]) -> tuple[str, ...]:
    """The labels among these that get columns of their own."""
    return column_names(names, _TAKEN)


class SampleTable:
    """The columns of a day whose labels' names are known, and its batches.

    The same rows give the same batches, however they were cut into blocks.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        labels = [pa.field(name, _CODED) for name in self._columns]
        self.schema = pa.schema([*_FIXED, *labels, pa.field(MAP_COLUMN, MAP_TYPE)])
        entries = f"{MAP_COLUMN}.key_value"
        self.dictionary = ("metric", "nan", "series_id", *self._columns,
                           f"{entries}.key", f"{entries}.value")  # fmt: skip

    def batches(self, blocks: Iterable[Block]) -> Iterator[pa.RecordBatch]:
        """Batches of BATCH_ROWS rows, the last one of the rest.

        Raises TransientError for a label that ought to have a column and has none.
        """
        held: list[_Coded] = []
        rows = 0
        for block in blocks:
            rest = self._coded(block)
            while rows + rest.size >= BATCH_ROWS:
                head, rest = rest.cut(BATCH_ROWS - rows)
                yield self._batch([*held, head])
                held, rows = [], 0
            if rest.size:
                held.append(rest)
                rows += rest.size
        if held:
            yield self._batch(held)

    def _coded(self, block: Block) -> _Coded:
        """The block with its labels as Arrow arrays, one entry per series."""
        listed = set(self._columns) | {_NAME}
        rest = []
        for labels in block.labels:
            others = sorted((k, v) for k, v in labels.items() if k not in listed and v)
            for name, _ in others:
                if has_column(name, _TAKEN):
                    raise TransientError(
                        "a label that the server did not list at first",
                        found=name,
                        remedy="run it again",
                    )
            rest.append(others)
        texts = [
            pa.array([labels.get(name) or None for labels in block.labels], pa.string())
            for name in (_NAME, *self._columns)
        ]
        return _Coded(block, texts, pa.array(rest, MAP_TYPE))

    def _batch(self, pieces: list[_Coded]) -> pa.RecordBatch:
        rows = np.concatenate([piece.block.rows for piece in pieces])
        size = int(rows.sum())
        columns: dict[str, Any] = {}
        for at, name in enumerate(("metric", *self._columns)):
            texts = pa.concat_arrays([piece.texts[at] for piece in pieces]).dictionary_encode()
            codes = texts.indices.fill_null(-1).to_numpy().repeat(rows)
            nulls = codes < 0 if texts.null_count else None
            indices = pa.array(codes, mask=nulls)
            columns[name] = pa.DictionaryArray.from_arrays(indices, texts.dictionary)
        ids = np.concatenate([piece.block.ids for piece in pieces])
        columns["series_id"] = pa.array(ids.repeat(rows))
        maps = pa.concat_arrays([piece.maps for piece in pieces])
        columns[MAP_COLUMN] = _repeated_maps(maps, rows, size)
        times = np.concatenate([piece.block.ts_ms for piece in pieces])
        columns["ts"] = pa.array(times).view(TS_TYPE)
        columns |= _measured(pieces)
        return pa.record_batch([columns[name] for name in self.schema.names], schema=self.schema)


@dataclass(frozen=True)
class _Coded:
    """A block whose labels are arrays."""

    block: Block
    texts: list[pa.Array]
    maps: pa.Array

    @property
    def size(self) -> int:
        return len(self.block.ts_ms)

    def cut(self, rows: int) -> tuple[_Coded, _Coded]:
        """The first `rows` rows, and the others; a series may be in both."""
        ends = np.cumsum(self.block.rows)
        last = int(np.searchsorted(ends, rows))
        both = self._part(slice(0, last + 1), slice(0, rows))
        first = last if rows and ends[last] > rows else last + 1 if rows else 0
        other = self._part(slice(first, None), slice(rows, None))
        if rows and ends[last] > rows:
            both.block.rows[-1] -= ends[last] - rows
            other.block.rows[0] = ends[last] - rows
        return both, other

    def _part(self, series: slice, rows: slice) -> _Coded:
        block = self.block
        return _Coded(
            Block(
                block.ids[series],
                block.labels[series],
                block.rows[series].copy(),
                block.ts_ms[rows],
                block.values[rows],
                None if block.histograms is None else block.histograms[rows],
                None if block.stale is None else block.stale[rows],
            ),
            [text[series] for text in self.texts],
            self.maps[series],
        )


def _measured(pieces: list[_Coded]) -> dict[str, pa.Array]:
    """What was measured: value, nan, histogram."""
    values = np.concatenate([piece.block.values for piece in pieces])
    size = len(values)
    missing = np.isnan(values)
    columns: dict[str, pa.Array] = {}
    if not missing.any():
        columns["value"] = pa.array(values)
        columns["nan"] = pa.nulls(size, _CODED)
    else:
        codes = np.full(size, _NAN_CODE, np.int32)
        start = 0
        for piece in pieces:
            if piece.block.stale is not None:
                codes[start : start + piece.size][piece.block.stale] = _STALE_CODE
            start += piece.size
        columns["value"] = pa.array(values, mask=missing)
        columns["nan"] = pa.DictionaryArray.from_arrays(pa.array(codes, mask=~missing), _NANS)
    if all(piece.block.histograms is None for piece in pieces):
        columns["histogram"] = pa.nulls(size, HISTOGRAM_TYPE)
        return columns
    histograms = pa.concat_arrays(
        [
            pa.nulls(piece.size, HISTOGRAM_TYPE)
            if piece.block.histograms is None
            else piece.block.histograms
            for piece in pieces
        ]
    )
    has_none = histograms.is_null().to_numpy(zero_copy_only=False)
    nan = columns["nan"]
    codes = nan.indices.fill_null(-1).to_numpy()
    indices = pa.array(codes, mask=(codes < 0) | ~has_none)
    columns["nan"] = pa.DictionaryArray.from_arrays(indices, _NANS)
    columns["histogram"] = histograms
    return columns


def _repeated_maps(maps: pa.Array, rows: npt.NDArray[np.int64], size: int) -> pa.Array:
    """Each repeated by its number."""
    if len(maps.keys) == 0:
        return pa.MapArray.from_arrays(np.zeros(size + 1, np.int32), maps.keys, maps.items)
    return maps.take(pa.array(np.arange(len(maps)).repeat(rows)))
