"""Answers on disk, and one day's rows out of them in the order of (series_id, ts).

Belongs here: what is kept between asking and writing. Does not: JSON, columns of labels.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lake.base.errors import BadData
from lake.sources.prometheus.answer import RawSeries, samples
from lake.sources.prometheus.plan import Window

_PIECE_ROWS = 16_384  # what each answer holds in memory while a shard's are merged


@dataclass(frozen=True)
class Spool:
    """One answer in a file: samples by ascending id of their series, then by time."""

    path: Path
    ids: array[int]
    rows: array[int]


def write(
    path: Path,
    window: Window,
    series: Sequence[RawSeries],
    id_of: Callable[[bytes], int],
    *,
    clip: bool = False,
) -> Spool:
    """Parses an answer into a file; `clip` drops samples from before the window.

    Raises BadData where two series have the same id, or times are not the window's.
    """
    by_id = {id_of(one.labels): one for one in series}
    if len(by_id) < len(series):
        raise BadData("two series of one answer have the same labels, or ids that collide")
    ids = sorted(by_id)
    table, rows = samples([by_id[one] for one in ids])
    if clip:
        table, ids, rows = _clipped(table, ids, rows, window.start_ms)
    _check_order(table, rows, window)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        # Pieces of one length: the answer's own may be many more.
        writer.write_table(table.combine_chunks(), max_chunksize=_PIECE_ROWS)
    return Spool(path, array("q", ids), array("q", rows))


def merged(spools: Sequence[Spool]) -> Iterator[tuple[int, list[pa.RecordBatch]]]:
    """Series by ascending id, each with its rows; `spools` are one shard's, in order of time."""
    cursors = [_Cursor(spool) for spool in spools]
    try:
        for series in sorted({one for spool in spools for one in spool.ids}):
            yield series, [piece for cursor in cursors for piece in cursor.take(series)]
    finally:
        for cursor in cursors:
            cursor.close()


class _Cursor:
    """Goes once through a spool's rows, one piece in memory at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._file = pa.OSFile(str(spool.path))
        self._reader = pa.ipc.open_file(self._file)
        self._next_series = self._next_piece = 0
        self._piece: pa.RecordBatch | None = None

    def take(self, series: int) -> Iterator[pa.RecordBatch]:
        """The rows of this series, none where the spool does not hold it."""
        at = self._next_series
        if at == len(self._spool.ids) or self._spool.ids[at] != series:
            return
        self._next_series += 1
        wanted = self._spool.rows[at]
        while wanted:
            if self._piece is None or not self._piece.num_rows:
                self._piece = self._reader.get_batch(self._next_piece)
                self._next_piece += 1
            taken = self._piece.slice(0, wanted)
            self._piece = self._piece.slice(taken.num_rows)
            wanted -= taken.num_rows
            yield taken

    def close(self) -> None:
        self._file.close()


def _clipped(
    table: pa.Table, ids: Sequence[int], rows: Sequence[int], start_ms: int
) -> tuple[pa.Table, list[int], list[int]]:
    inside = pc.greater_equal(pc.cast(table["ts"], pa.int64()), start_ms)
    left = pc.value_counts(repeated(ids, rows).filter(inside.combine_chunks()))
    return table.filter(inside), left.field("values").to_pylist(), left.field("counts").to_pylist()


def _check_order(table: pa.Table, rows: Sequence[int], window: Window) -> None:
    """Raises BadData unless all times are steps of the window and ascend in each series."""
    since_start = pc.subtract(pc.cast(table["ts"], pa.int64()), window.start_ms)
    step = pc.divide(since_start, window.step_ms)
    on_grid = pc.equal(pc.multiply(step, window.step_ms), since_start)
    inside = pc.and_(pc.greater_equal(since_start, 0), pc.less(step, window.steps))
    order = pc.add(pc.multiply(repeated(range(len(rows)), rows), window.steps), step)
    ascending = pc.greater(order[1:], order[:-1])
    if not (_all(on_grid) and _all(inside) and _all(ascending)):
        raise BadData(
            "an answer with other times than those asked for",
            expected=f"{window.steps} steps of {window.step_ms} ms from {window.start_ms} on",
            found=f"{pc.min(table['ts'])} … {pc.max(table['ts'])}, {table.num_rows} samples",
            remedy="turn off whatever aligns queries with their step in front of the server",
        )


def _all(flags: pa.ChunkedArray) -> bool:
    return bool(pc.all(flags, min_count=0).as_py())


def repeated(values: Iterable[int], times: Sequence[int]) -> pa.Array:
    """Each value as often as its number says, as int64. No number may be 0."""
    ends = pa.array(accumulate(times), pa.int32())
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, pa.int64())))
