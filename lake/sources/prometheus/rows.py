"""The table of a Prometheus dataset: its columns, and batches of them.

Belongs here: fixed columns, labels' columns, encodings. Does not: where samples are from.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lake.base.errors import BadData
from lake.sources.labels import column_names, label_arrays, label_fields, series_id
from lake.sources.prometheus.answer import HISTOGRAM_TYPE, MIXED, TS_TYPE
from lake.sources.prometheus.spool import repeated

_FIXED = [
    pa.field("ts", TS_TYPE),
    pa.field("metric", pa.string()),
    pa.field("value", pa.float64()),
    pa.field("nan", pa.string()),
    pa.field("series_id", pa.int64()),
    pa.field("histogram", HISTOGRAM_TYPE),
]
_TAKEN = frozenset({*(field.name for field in _FIXED), "labels", "day"})
_NAME = "__name__"
_BATCH_ROWS = 65_536

SORTED_BY = ("series_id", "ts")
ENCODINGS = {"ts": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}


class SeriesIds:
    """Ids of series by their labels as a server writes them; safe across threads."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}

    def __call__(self, labels: bytes) -> int:
        """The id of a JSON object of labels."""
        known = self._ids.get(labels)
        if known is None:
            parsed = json.loads(labels)
            known = self._ids[labels] = series_id(parsed, parsed.get(_NAME, ""))
        return known

    def label_sets(self, wanted: Collection[int]) -> dict[int, dict[str, str]]:
        """The labels of these series, by ascending id. Raises BadData where ids collide."""
        sets: dict[int, dict[str, str]] = {}
        of_wanted = ((one, written) for written, one in self._ids.items() if one in wanted)
        for series, written in sorted(of_wanted):
            labels = {name: value for name, value in json.loads(written).items() if value}
            if sets.setdefault(series, labels) != labels:
                raise BadData("two series have the same id", found=f"{labels} and {sets[series]}")
        return sets


class Rows:
    """The columns of a day whose series are known, and its batches."""

    def __init__(self, label_sets: dict[int, dict[str, str]]) -> None:
        sets = list(label_sets.values())
        columns = column_names((name for labels in sets for name in labels), _TAKEN | {_NAME})
        self.schema = pa.schema([*_FIXED, *label_fields(columns)])
        self.dictionary = ("metric", "nan", "series_id", *columns, "labels.key_value.key",
                           "labels.key_value.value")  # fmt: skip
        self._position = {series: at for at, series in enumerate(label_sets)}
        self._by_series = pa.record_batch(
            [
                pa.array([labels.get(_NAME) for labels in sets], pa.string()),
                pa.array(label_sets, pa.int64()),
                *label_arrays(sets, columns, hidden={_NAME}),
            ],
            names=["metric", "series_id", *columns, "labels"],
        )

    def batches(
        self, series: Iterable[tuple[int, Sequence[pa.RecordBatch]]]
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of the schema; `series` come by ascending id, with their samples."""
        held: list[pa.RecordBatch] = []
        positions: list[int] = []
        rows = 0
        for one, pieces in series:
            for piece in pieces:
                held.append(piece)
                positions.append(self._position[one])
                rows += piece.num_rows
                if rows >= _BATCH_ROWS:
                    yield self._batch(held, positions)
                    held, positions, rows = [], [], 0
        if held:
            yield self._batch(held, positions)

    def _batch(self, pieces: list[pa.RecordBatch], positions: list[int]) -> pa.RecordBatch:
        found = pa.concat_batches([_with_histogram(piece) for piece in pieces])
        at = repeated(positions, [piece.num_rows for piece in pieces])
        labels = self._by_series.take(at)
        no_value = pc.and_(pc.is_null(found["value"]), pc.is_null(found["histogram"]))
        nan = pc.if_else(no_value, pa.scalar("nan"), pa.scalar(None, pa.string()))
        columns = {name: labels[name] for name in labels.schema.names}
        columns |= {name: found[name] for name in found.schema.names}
        columns["nan"] = nan
        return pa.record_batch([columns[name] for name in self.schema.names], schema=self.schema)


def _with_histogram(piece: pa.RecordBatch) -> pa.RecordBatch:
    if piece.num_columns == len(MIXED):
        return piece
    nothing = pa.nulls(piece.num_rows, HISTOGRAM_TYPE)
    return pa.record_batch([*piece.columns, nothing], schema=MIXED)
