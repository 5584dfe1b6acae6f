"""Rows on disk in runs, read back in the order of the table; memory stays bounded.

Belongs here: runs, their index, and how they are put together again.
Does not: where rows come from, or the table's columns.

Lines come in the order of time, and each writer has a stretch of time of its own. So a run
(some megabytes, sorted by stream and time) is wholly later than the writer's run before,
and a stream's slices of all runs, one after the other, are in order. Only rows that were
found later overlap: those few slices are sorted together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.systems.loki.reading.answer import ROWS
from lake.systems.loki.reading.ruled import RuledRows

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
_ORDER = [("stream_id", "ascending"), ("ts_ns", "ascending")]
_RUN_BYTES = 64 << 20
_READ_BYTES = 32 << 10  # of one batch; while reading back, one of every run is held
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20

KEYS = np.dtype([("stream", "i8"), ("ts_ns", "i8")])
# One stream's rows in one run: which run, the times, how many, at which row of the file.
_SLICE = np.dtype([(name, "i8") for name in ("stream", "run", "first", "last", "rows", "at")])


class RunWriter:
    """One stretch of time; tables have to come in the order of time. For one thread."""

    def __init__(
        self, path: Path, run_bytes: int = _RUN_BYTES, ruled: RuledRows | None = None
    ) -> None:
        self._path = path
        self._ruled = ruled
        self._run_bytes = run_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._slices = [np.empty(0, _SLICE)]
        self._starts = [0]
        self._writer = pa.ipc.new_file(str(path), ROWS, options=_COMPRESSED)

    def add(self, rows: pa.Table) -> None:
        """Takes rows with the schema ROWS, equal times of a stream in their order."""
        if rows.num_rows:
            if self._ruled:
                rows = self._ruled.table(rows)
            self._held.append(rows)
            self._held_bytes += rows.nbytes
        if self._held_bytes >= self._run_bytes:
            self._flush()

    def close(self) -> Stretch:
        """What was written."""
        if self._held:
            self._flush()
        self._writer.close()
        return Stretch(self._path, np.concatenate(self._slices), np.array(self._starts))

    def _flush(self) -> None:
        rows = pa.concat_tables(self._held)
        rows = rows.take(pc.sort_indices(rows, _ORDER)).combine_chunks()
        self._slices.append(_slices_of(rows, len(self._slices) - 1, self._starts[-1]))
        size = max(1, rows.num_rows * _READ_BYTES // rows.nbytes)
        for batch in rows.to_batches(size):
            self._writer.write_batch(batch)
            self._starts.append(self._starts[-1] + batch.num_rows)
        self._held, self._held_bytes = [], 0
        del rows, batch
        pa.default_memory_pool().release_unused()  # which a thread's own heap would keep


def _slices_of(rows: pa.Table, run: int, at: int) -> np.ndarray:
    streams, times = rows["stream_id"].to_numpy(), rows["ts_ns"].to_numpy()
    cuts = np.flatnonzero(np.diff(streams)) + 1
    starts, ends = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(streams)]])
    slices = np.empty(len(starts), _SLICE)
    slices["stream"], slices["run"] = streams[starts], run
    slices["first"], slices["last"] = times[starts], times[ends - 1]
    slices["rows"], slices["at"] = ends - starts, at + starts
    return slices


@dataclass(frozen=True)
class Stretch:
    """What one writer left behind: a file, its slices, and the first row of each batch."""

    path: Path
    slices: np.ndarray
    starts: np.ndarray

    def without(self, streams: Collection[int]) -> Stretch:
        """The same but for the rows of these streams."""
        left_out = np.isin(self.slices["stream"], np.array(sorted(streams), np.int64))
        return Stretch(self.path, self.slices[~left_out], self.starts)


class _Cursor:
    """Reads one file's rows; keeps the batch last used, for the next rows are likely there."""

    def __init__(self, reader: pa.RecordBatchFileReader, starts: np.ndarray) -> None:
        self._reader = reader
        self._starts = starts
        self._number = -1
        self._batch: Any = None

    def rows(self, at: int, count: int) -> Iterator[pa.RecordBatch]:
        while count:
            number = int(np.searchsorted(self._starts, at, side="right")) - 1
            if number != self._number:
                self._number, self._batch = number, self._reader.get_batch(number)
            part = self._batch.slice(at - int(self._starts[number]), count)
            yield part
            at, count = at + part.num_rows, count - part.num_rows


class Spool:
    """The rows of several stretches. Where times are equal, earlier stretches go first.

    `renamed`: for a stream's id in the files that in the sorted rows, where they differ; streams
    that get one id are one.
    """

    def __init__(self, stretches: list[Stretch], renamed: Mapping[int, int] | None = None) -> None:
        self._stretches = stretches
        self._own = np.array(sorted(renamed or ()), np.int64)
        self._new = np.array([(renamed or {})[own] for own in self._own.tolist()], np.int64)

    def count(self, start_ns: int, end_ns: int) -> int:
        """How many rows lie in [start, end)."""
        total = 0
        for stretch in self._stretches:
            slices = stretch.slices
            inside = (slices["first"] >= start_ns) & (slices["last"] < end_ns)
            total += int(slices["rows"][inside].sum())
            reaching = (slices["first"] < end_ns) & (slices["last"] >= start_ns)
            total += _cut(stretch, slices[reaching & ~inside], start_ns, end_ns).num_rows
        return total

    def between(self, start_ns: int, end_ns: int) -> pa.Table:
        """The rows of [start, end), of which there should not be many, in no order."""
        tables = [ROWS.empty_table()]
        for stretch in self._stretches:
            slices = stretch.slices
            reaching = (slices["first"] < end_ns) & (slices["last"] >= start_ns)
            tables.append(_cut(stretch, slices[reaching], start_ns, end_ns))
        return pa.concat_tables(tables)

    def keys(self, start_ns: int, end_ns: int) -> np.ndarray:
        """Stream and time (KEYS) of each row of [start, end), in no order."""
        parts = [np.empty(0, KEYS)]
        for stretch in self._stretches:
            slices = stretch.slices
            reaching = (slices["first"] < end_ns) & (slices["last"] >= start_ns)
            parts += map(keys_of, _cuts(stretch, slices[reaching], start_ns, end_ns))
        return np.concatenate(parts)

    def some_times(self, number: int) -> list[int]:
        """Times of about `number` rows, spread over the streams."""
        slices = [stretch.slices for stretch in self._stretches if len(stretch.slices)]
        if not slices:
            return []
        every = np.concatenate(slices)
        every = every[np.argsort(every["stream"], kind="stable")]
        picked = np.unique(np.linspace(0, len(every) - 1, number).astype(int))
        return sorted({int(at) for at in every["first"][picked]})

    def sorted_batches(self) -> Iterator[pa.RecordBatch]:
        """All rows by stream and time, in batches of some thousand rows."""
        held: list[pa.Table] = []
        rows = size = 0
        for group in self._sorted_groups():
            held.append(group)
            rows, size = rows + group.num_rows, size + group.nbytes
            if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
                yield from _joined(held)
                held, rows, size = [], 0, 0
        if held:
            yield from _joined(held)

    def _sorted_groups(self) -> Iterator[pa.Table]:
        with ExitStack() as files:
            readers = [
                pa.ipc.open_file(files.enter_context(pa.OSFile(str(stretch.path))))
                for stretch in self._stretches
            ]
            cursors: dict[tuple[int, int], _Cursor] = {}
            for group in self._groups():
                parts: list[pa.RecordBatch] = []
                # Sorting is stable, so earlier stretches have to go first.
                for number, run, at, rows in sorted(group):
                    cursor = cursors.get((number, run))
                    if cursor is None:
                        starts = self._stretches[number].starts
                        cursor = cursors[number, run] = _Cursor(readers[number], starts)
                    parts += cursor.rows(at, rows)
                table = pa.Table.from_batches(parts)
                if len(self._own):
                    yield self._renamed_rows(table, several=len(group) > 1)
                    continue
                yield table if len(group) == 1 else table.take(pc.sort_indices(table, _ORDER))

    def _renamed_rows(self, table: pa.Table, *, several: bool) -> pa.Table:
        """Sorted by the new id; lines of several streams at one time by their own ids."""
        own = table["stream_id"]
        renamed = pa.array(self._renamed(own.to_numpy()))
        table = table.set_column(0, ROWS.field(0), renamed)
        if not several:
            return table
        order = pc.sort_indices(table.append_column("own", own), [*_ORDER, ("own", "ascending")])
        return table.take(order)

    def _renamed(self, streams: np.ndarray) -> np.ndarray:
        return self._new[np.searchsorted(self._own, streams)] if len(self._own) else streams

    def _groups(self) -> Iterator[list[tuple[int, int, int, int]]]:
        """(stretch, run, at, rows) in the order of the table; what overlaps is together."""
        if not self._stretches:
            return
        slices = np.concatenate([stretch.slices for stretch in self._stretches])
        number = np.repeat(
            np.arange(len(self._stretches)), [len(stretch.slices) for stretch in self._stretches]
        )
        slices["stream"] = self._renamed(slices["stream"])
        order = np.lexsort((number, slices["first"], slices["stream"]))
        group: list[tuple[int, int, int, int]] = []
        group_stream = group_last = 0
        for which, (stream, run, first, last, rows, at) in _pairs(number, slices, order):
            if group and (stream != group_stream or first > group_last):
                yield group
                group = []
            group_last = max(group_last, last) if group else last
            group_stream = stream
            group.append((which, run, at, rows))
        if group:
            yield group


def _pairs(
    number: np.ndarray, slices: np.ndarray, order: np.ndarray
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Both in that order as Python numbers, which are large: some at a time."""
    for start in range(0, len(order), _BATCH_ROWS):
        part = order[start : start + _BATCH_ROWS]
        yield from zip(number[part].tolist(), slices[part].tolist(), strict=True)


def keys_of(rows: pa.Table) -> np.ndarray:
    """Stream and time (KEYS) of each row."""
    keys = np.empty(rows.num_rows, KEYS)
    keys["stream"], keys["ts_ns"] = rows["stream_id"].to_numpy(), rows["ts_ns"].to_numpy()
    return keys


def _cut(stretch: Stretch, slices: np.ndarray, start_ns: int, end_ns: int) -> pa.Table:
    """The rows of these slices that lie in [start, end)."""
    return pa.concat_tables([ROWS.empty_table(), *_cuts(stretch, slices, start_ns, end_ns)])


def _cuts(stretch: Stretch, slices: np.ndarray, start_ns: int, end_ns: int) -> Iterator[pa.Table]:
    with pa.OSFile(str(stretch.path)) as file:
        cursor = _Cursor(pa.ipc.open_file(file), stretch.starts)
        for part in slices:
            for batch in cursor.rows(int(part["at"]), int(part["rows"])):
                times = batch["ts_ns"].to_numpy()
                inside = pa.array((times >= start_ns) & (times < end_ns))
                yield pa.Table.from_batches([batch.filter(inside)])


def _joined(tables: list[pa.Table]) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = pa.concat_tables(tables).combine_chunks().to_batches()
    return batches
