"""A day of log lines, summed up in one pass over its table's batches.

Belongs here: the pass. Does not: the rules of the columns (hourly), storing the rows
(lake.rollup), the rule of levels (lake.query.levels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.systems.labels import MAP_COLUMN
from lake.systems.loki.rollup.hourly import HEAD, MEASURES, row_labels
from lake.systems.rollup import Layout

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from lake.query.levels import Place

_TS = pa.timestamp("us", tz="UTC")
_ROWS, _BYTES = 65_536, 16 << 20  # a statement takes 5 ms before its first row
_HOUR_NS = 3_600_000_000_000
_TYPES: dict[str, pa.DataType] = {
    "hour": _TS,
    "stream_id": pa.int64(),
    "level": pa.string(),
    "lines": pa.int64(),
    "bytes": pa.int64(),
    "first_ts": _TS,
    "last_ts": _TS,
}
_HEAD = [pa.field(name, _TYPES[name]) for name in HEAD]
_MEASURES = [pa.field(name, _TYPES[name]) for name in ("level", *MEASURES)]
_MAPS = ("metadata", MAP_COLUMN)

_Key = tuple[int, int]  # stream, hour
_Level = dict[str | None, list[int]]  # lines, bytes, first and last ns


class StreamsRolling:
    """See lake.systems.rollup.Rolling. Holds the levels of one stream and hour, and batches until
    they are worth a statement.
    """

    def __init__(self, schema: pa.Schema, level_from: Sequence[str]) -> None:
        self._labels = row_labels(schema)
        self.schema = pa.schema([*_HEAD, *self._labels.fields(), *_MEASURES])
        self.layout = Layout(
            sorted_by=("stream_id", "hour"),
            encodings={"first_ts": "DELTA_BINARY_PACKED", "last_ts": "DELTA_BINARY_PACKED",
                       "bytes": "DELTA_BINARY_PACKED"},
            dictionary=("hour", "stream_id", *self._labels.dictionary(), "level", "lines"),
        )  # fmt: skip
        self._level_from = tuple(level_from)
        self._waiting: list[pa.RecordBatch] = []
        self._connection: DuckDBPyConnection | None = None
        self._held: tuple[_Key, _Level, pa.RecordBatch] | None = None

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """See Rolling."""
        if not batch.num_rows:
            return
        self._waiting.append(batch)
        rows = sum(waiting.num_rows for waiting in self._waiting)
        if rows >= _ROWS or sum(waiting.nbytes for waiting in self._waiting) >= _BYTES:
            yield from self._taken()

    def finish(self) -> Iterator[pa.RecordBatch]:
        """See Rolling."""
        if self._waiting:
            yield from self._taken()
        if self._connection:
            self._connection.close()
        if self._held:
            key, levels, labels = self._held
            self._held = None
            yield self._rows([(key, levels)], labels)

    def _taken(self) -> Iterator[pa.RecordBatch]:
        batch = pa.concat_batches(self._waiting)
        self._waiting.clear()
        groups: list[tuple[_Key, _Level]] = []
        places: list[int] = []
        for stream, hour, level, *numbers, place in self._grouped(batch):
            key = (stream, hour)
            if not groups or groups[-1][0] != key:
                groups.append((key, {}))
                places.append(place)
            groups[-1][1][level] = numbers
        labels = pa.record_batch(self._labels.of_rows(batch, pa.array(places, pa.int64())))
        if self._held and self._held[0] == groups[0][0]:
            groups[0] = (groups[0][0], _merged(self._held[1], groups[0][1]))
        elif self._held:
            groups.insert(0, self._held[:2])
            labels = pa.concat_batches([self._held[2], labels])
        whole = len(groups) - 1
        if whole:
            yield self._rows(groups[:whole], labels.slice(0, whole))
        self._held = *groups[whole], labels.slice(whole)

    def _grouped(self, batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
        from lake.query.connection import macro_connection  # noqa: PLC0415
        from lake.query.levels import Place, level_in, places_in  # noqa: PLC0415

        if self._connection is None:
            self._connection = macro_connection()
        # What no line has names no level: metadata before Loki 3.
        empty = [name for name in _MAPS if not len(_entries(batch, name))]
        names = [name for name in batch.schema.names if name not in empty]
        columns = {name: batch[name] for name in batch.schema.names if name not in _MAPS}
        columns["row number"] = pa.array(np.arange(batch.num_rows))
        places = []
        for number, place in enumerate(places_in(names, self._level_from)):
            # DuckDB takes ten times as long to look up a map's key. No label has such a name.
            if place.key:
                columns[name := f"entry {number}"] = _values(batch, place)
                places.append(Place(name))
            else:
                places.append(place)
        self._connection.register("logs", pa.record_batch(columns))
        return self._connection.execute(
            f"SELECT stream_id, ts_ns // {_HOUR_NS} AS hour, {level_in(places)} AS level, "  # noqa: S608
            "count(*) AS lines, CAST(sum(strlen(line)) AS BIGINT) AS bytes, "
            'min(ts_ns) AS first, max(ts_ns) AS last, min("row number") AS place '
            "FROM logs GROUP BY ALL ORDER BY ALL"
        ).fetchall()

    def _rows(
        self, groups: Sequence[tuple[_Key, _Level]], labels: pa.RecordBatch
    ) -> pa.RecordBatch:
        rows = [
            (number, key, level, of_level)
            for number, (key, levels) in enumerate(groups)
            for level, of_level in sorted(
                levels.items(), key=lambda group: (group[0] is None, group[0])
            )
        ]
        index = pa.array([number for number, *_ in rows], pa.int64())
        columns: dict[str, pa.Array] = {
            name: labels.column(name).take(index) for name in labels.schema.names
        }
        columns["stream_id"] = pa.array([key[0] for _, key, *_ in rows], pa.int64())
        columns["hour"] = _times([key[1] * _HOUR_NS for _, key, *_ in rows])
        columns["level"] = pa.array([level for *_, level, _ in rows], pa.string())
        for at, name in enumerate(("lines", "bytes")):
            columns[name] = pa.array([measures[at] for *_, measures in rows], pa.int64())
        for at, name in enumerate(("first_ts", "last_ts"), 2):
            columns[name] = _times([measures[at] for *_, measures in rows])
        return pa.record_batch([columns[name] for name in self.schema.names], schema=self.schema)


def _values(batch: pa.RecordBatch, place: Place) -> pa.Array:
    """Of each row the value of a map's key, NULL where it has none. A map has each key once, and
    none where it is NULL.
    """
    maps, keys = batch[place.column], _entries(batch, place.column)
    held = np.flatnonzero(pc.equal(keys, place.key).to_numpy(zero_copy_only=False))
    offsets = maps.offsets.to_numpy()
    rows = np.searchsorted(offsets - offsets[0], held, side="right") - 1
    at = np.full(len(maps), -1, np.int64)
    at[rows] = held
    return maps.items[offsets[0] : offsets[-1]].take(pa.array(at, mask=at < 0))


def _entries(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The keys of all of a batch's maps."""
    maps = batch.column(name)
    first, last = maps.offsets[0].as_py(), maps.offsets[len(maps)].as_py()
    return maps.keys[first:last]


def _merged(measures: _Level, other: _Level) -> _Level:
    both = dict(measures)
    for level, (lines, size, first, last) in other.items():
        was = both.get(level, [0, 0, first, last])
        both[level] = [was[0] + lines, was[1] + size, min(was[2], first), max(was[3], last)]
    return both


def _times(ns: Sequence[int]) -> pa.Array:
    return pa.array([time // 1000 for time in ns], pa.int64()).view(_TS)
