"""Rows on disk in runs, read back in the order of the table; memory stays bounded.

Belongs here: runs, their index, and how they are put together again.
Does not: where rows come from, or the table's columns.

Lines come in the order of time, and each writer has a stretch of time of its own. So a run
(some megabytes, sorted by stream and time, one batch a stream) is wholly later than the
writer's run before, and a stream's rows of all runs, one after the other, are in order.
Only rows that were found later overlap: those few batches are sorted together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.sources.loki.answer import ROWS

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
_ORDER = [("stream_id", "ascending"), ("ts_ns", "ascending")]
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20

_Index = np.dtype(
    [("stream", "i8"), ("first", "i8"), ("last", "i8"), ("rows", "i8"), ("batch", "i8")]
)


class RunWriter:
    """One stretch of time; tables have to come in the order of time. For one thread."""

    def __init__(self, path: Path, run_bytes: int = 64 << 20) -> None:
        self.path = path
        self._run_bytes = run_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._index: list[tuple[int, int, int, int, int]] = []
        self._writer = pa.ipc.new_file(str(path), ROWS, options=_COMPRESSED)

    def add(self, rows: pa.Table) -> None:
        """Takes rows with the schema ROWS, equal times of a stream in their order."""
        if rows.num_rows:
            self._held.append(rows)
            self._held_bytes += rows.nbytes
        if self._held_bytes >= self._run_bytes:
            self._flush()

    def close(self) -> Stretch:
        """What was written."""
        if self._held:
            self._flush()
        self._writer.close()
        return Stretch(self.path, np.array(self._index, _Index))

    def _flush(self) -> None:
        rows = pa.concat_tables(self._held)
        self._held, self._held_bytes = [], 0
        for batch in _of_streams(rows.take(pc.sort_indices(rows, _ORDER))):
            times = batch["ts_ns"]
            self._index.append(
                (
                    batch["stream_id"][0].as_py(),
                    times[0].as_py(),
                    times[-1].as_py(),
                    batch.num_rows,
                    len(self._index),
                )
            )
            self._writer.write_batch(batch)


def _of_streams(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """One batch a stream, of rows sorted by stream."""
    whole = rows.combine_chunks().to_batches()[0]
    streams = whole["stream_id"].to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(streams)) + 1).tolist(), len(streams)]
    for start, end in pairwise(cuts):
        yield whole.slice(start, end - start)


@dataclass(frozen=True)
class Stretch:
    """What one writer left behind: a file, and an index with a line a batch."""

    path: Path
    index: np.ndarray


class Spool:
    """The rows of several stretches. Where times are equal, earlier stretches go first."""

    def __init__(self, stretches: list[Stretch]) -> None:
        self._stretches = stretches

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(int(stretch.index["rows"].sum()) for stretch in self._stretches)

    def count(self, start_ns: int, end_ns: int) -> int:
        """How many rows lie in [start, end)."""
        total = 0
        for stretch in self._stretches:
            index = stretch.index
            inside = (index["first"] >= start_ns) & (index["last"] < end_ns)
            total += int(index["rows"][inside].sum())
        for rows in self._cut(start_ns, end_ns, only_partly_inside=True):
            total += int(rows.num_rows)
        return total

    def between(self, start_ns: int, end_ns: int) -> pa.Table:
        """The rows of [start, end), of which there should not be many, in no order."""
        return pa.concat_tables([ROWS.empty_table(), *self._cut(start_ns, end_ns)])

    def _cut(
        self, start_ns: int, end_ns: int, *, only_partly_inside: bool = False
    ) -> Iterator[pa.Table]:
        for stretch in self._stretches:
            index = stretch.index
            wanted = (index["first"] < end_ns) & (index["last"] >= start_ns)
            if only_partly_inside:
                wanted &= (index["first"] < start_ns) | (index["last"] >= end_ns)
            if not wanted.any():
                continue
            with pa.OSFile(str(stretch.path)) as file, pa.ipc.open_file(file) as reader:
                for batch in index["batch"][wanted].tolist():
                    rows = pa.Table.from_batches([reader.get_batch(batch)])
                    times = rows["ts_ns"].to_numpy()
                    yield rows.filter(pa.array((times >= start_ns) & (times < end_ns)))

    def sorted_batches(self) -> Iterator[pa.RecordBatch]:
        """All rows by stream and time, in batches of some thousand rows."""
        held: list[pa.Table] = []
        for rows in self._sorted_groups():
            held.append(rows)
            enough = sum(t.num_rows for t in held) >= _BATCH_ROWS
            if enough or sum(t.nbytes for t in held) >= _BATCH_BYTES:
                yield from _pieces(held)
                held = []
        yield from _pieces(held)

    def _sorted_groups(self) -> Iterator[pa.Table]:
        files = [pa.OSFile(str(stretch.path)) for stretch in self._stretches]
        try:
            readers = [pa.ipc.open_file(file) for file in files]
            for group in self._groups():
                # Sorting is stable, so earlier stretches have to go first.
                rows = pa.Table.from_batches(
                    [readers[stretch].get_batch(batch) for stretch, batch in sorted(group)]
                )
                yield rows if len(group) == 1 else rows.take(pc.sort_indices(rows, _ORDER))
        finally:
            for file in files:
                file.close()

    def _groups(self) -> Iterator[list[tuple[int, int]]]:
        """(stretch, batch) in the order of the table; what overlaps in time is together."""
        if not self._stretches:
            return
        index = np.concatenate([stretch.index for stretch in self._stretches])
        number = np.repeat(
            np.arange(len(self._stretches)), [len(stretch.index) for stretch in self._stretches]
        )
        group: list[tuple[int, int]] = []
        stream = last = 0
        for at in np.lexsort((number, index["first"], index["stream"])).tolist():
            entry = index[at]
            if group and (entry["stream"] != stream or entry["first"] > last):
                yield group
                group = []
            last = max(last, entry["last"]) if group else entry["last"]
            stream = entry["stream"]
            group.append((int(number[at]), int(entry["batch"])))
        if group:
            yield group


def _pieces(tables: list[pa.Table]) -> Iterator[pa.RecordBatch]:
    if tables:
        yield from pa.concat_tables(tables).combine_chunks().to_batches(_BATCH_ROWS)
