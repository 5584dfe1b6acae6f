"""Answers as sorted runs, in memory or in a file, merged into the order of (series_id, ts).

Belongs here: what is kept between asking and writing. Does not: JSON, columns of labels.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lake.base.errors import BadData
from lake.systems.labels import series_id
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE, Matrix
from lake.systems.prometheus.reading.blocks import MOST_SERIES, Block
from lake.systems.prometheus.reading.plan import Window
from lake.systems.prometheus.reading.ruled import RuledLabels

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_NAME = "__name__"
_BLOCK_ROWS = 65_536
_MOST_KNOWN = 20_000  # series whose ids are remembered; the others' are hashed again
_SAMPLE_BYTES = 12
_SERIES_BYTES = 120  # its numbers and its text's object


class Room:
    """Memory that runs may take; shared by all of a day's. Safe across threads."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = Lock()

    def take(self, size: int) -> bool:
        """Whether this number of bytes was free; they are taken then."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Frees what was taken."""
        with self._lock:
            self._left += size


@dataclass
class _Run:
    """One answer, its series by ascending id. In the file: samples, labels, histograms."""

    window: Window
    ids: Ints
    ends: Ints  # rows up to and with each series
    texts: Sequence[bytes] | None
    text_ends: Ints  # the same of the labels' bytes
    hashes: Ints  # of the labels as written
    step_of: npt.NDArray[np.int32] | None
    values: npt.NDArray[np.float64] | None
    histograms: pa.Array | None
    bytes: int
    at: int = -1  # where it is in the file
    histograms_at: list[tuple[int, int]] | None = None


class Runs:
    """The answers to one shard; `add` is safe across threads, `blocks` comes after all of them.

    `names` are all labels' names. Labels are kept as the rules leave them; what is in a file, too.
    """

    def __init__(self, directory: Path, room: Room, ruled: RuledLabels | None = None) -> None:
        self._directory = directory
        self._room = room
        self._lock = Lock()
        self._runs: list[_Run] = []
        self._known: dict[bytes, int] = {}
        self._ruled = ruled
        self._file: Any = None
        self.names: set[str] = set()

    def add(self, matrix: Matrix, window: Window) -> None:
        """Takes an answer. Raises BadData where two of its series have the same id."""
        if not len(matrix.rows):
            return
        if self._ruled:
            matrix = replace(matrix, labels=[self._ruled.json(text) for text in matrix.labels])
        run = _sorted_run(matrix, window, self._ids(matrix.labels))
        with self._lock:
            self._runs.append(run)
            if not self._room.take(run.bytes):
                self._to_file(run)

    def blocks(self) -> Iterator[Block]:
        """All rows, by (series_id, ts). Raises BadData where two series have the same id."""
        runs = sorted(self._runs, key=lambda run: run.window.start_ms)
        if not runs:
            return
        ids = np.concatenate([run.ids for run in runs])
        of_run = np.repeat(np.arange(len(runs), dtype=np.int32), [len(run.ids) for run in runs])
        within = np.concatenate([np.arange(len(run.ids), dtype=np.int32) for run in runs])
        order = np.argsort(ids, kind="stable") if len(runs) > 1 else np.arange(len(ids))
        _check_same(runs, ids, order)
        rows = np.concatenate([np.diff(run.ends, prepend=0) for run in runs])
        for part in _parts(ids[order], rows[order]):
            chosen = order[part]
            yield self._block(runs, ids[chosen], of_run[chosen], within[chosen])

    def close(self) -> None:
        """Frees memory and file."""
        for run in self._runs:
            if run.at < 0:
                self._room.give_back(run.bytes)
        self._runs = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _ids(self, labels: Sequence[bytes]) -> Ints:
        known = self._known
        ids = np.empty(len(labels), np.int64)
        for at, text in enumerate(labels):
            identifier = known.get(text)
            if identifier is None:
                parsed = json.loads(text)
                self.names.update(parsed)
                identifier = series_id(parsed, parsed.get(_NAME, ""))
                if len(known) < _MOST_KNOWN:
                    known[text] = identifier
            ids[at] = identifier
        return ids

    def _to_file(self, run: _Run) -> None:
        if self._file is None:
            # Without a name: it is gone with the process, whatever ends that.
            self._file = tempfile.TemporaryFile(  # noqa: SIM115  until `close`
                buffering=0, dir=self._directory
            )
        run.at = self._file.seek(0, os.SEEK_END)
        for part in (run.step_of, run.values, b"".join(run.texts or ())):
            self._write(part)
        if run.histograms is not None:
            run.histograms_at = []
            for begin in range(0, len(run.histograms), _HISTOGRAM_ROWS):
                piece = run.histograms.slice(begin, _HISTOGRAM_ROWS)
                batch = pa.record_batch([pa.concat_arrays([piece])], ["histogram"])
                text = batch.serialize()
                run.histograms_at.append((self._file.tell(), text.size))
                self._write(text)
        run.step_of = run.values = run.texts = run.histograms = None

    def _write(self, data: Any) -> None:
        left = memoryview(data).cast("B") if len(data) else memoryview(b"")
        while left:
            left = left[self._file.write(left) :]

    def _block(
        self, runs: list[_Run], ids: Ints, of_run: npt.NDArray[np.int32], within: Any
    ) -> Block:
        """These series of these runs: of each run neighbouring ones."""
        from lake.systems.prometheus.reading import scan  # noqa: PLC0415  compiled code

        starts, rows = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
        first_of = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1)) if len(runs) > 1 else None
        texts: list[bytes | None] = [None] * len(ids)
        steps, values, histograms = [], [], []
        loaded = 0
        for number in np.unique(of_run).tolist() if len(runs) > 1 else [0]:
            run = runs[number]
            here = np.flatnonzero(of_run == number) if len(runs) > 1 else np.arange(len(ids))
            low, high = int(within[here[0]]), int(within[here[-1]]) + 1
            begin = int(run.ends[low - 1]) if low else 0
            ends = run.ends[low:high]
            starts[here] = np.concatenate([[begin], ends[:-1]]) - begin + loaded
            rows[here] = np.diff(ends, prepend=begin)
            needed = here if first_of is None else np.intersect1d(here, first_of)
            if len(needed):
                decoded = self._texts(run, low, high)
                for at in needed.tolist():
                    texts[at] = decoded[int(within[at]) - low]
            step_of, numbers, kept = self._samples(run, begin, int(ends[-1]))
            steps.append(step_of)
            values.append(numbers)
            histograms.append(kept)
            loaded += len(step_of)
        from_ms = np.array([run.window.start_ms for run in runs])[of_run]
        ms_out, values_out = np.empty(loaded, np.int64), np.empty(loaded, np.float64)
        scan.gather_timed(
            starts, rows, from_ms, runs[0].window.step_ms, _joined(steps), _joined(values),
            ms_out, values_out,
        )  # fmt: skip
        taken = None
        if any(part is not None for part in histograms):
            pieces = [
                pa.nulls(len(step_of), HISTOGRAM_TYPE) if part is None else part
                for part, step_of in zip(histograms, steps, strict=True)
            ]
            index = np.repeat(starts - (np.cumsum(rows) - rows), rows) + np.arange(loaded)
            taken = pa.concat_arrays(pieces).take(pa.array(index))
        if first_of is not None:
            ids = ids[first_of]
            rows = np.add.reduceat(rows, first_of)
        labels = [json.loads(text) for text in texts if text is not None]
        return Block(ids, labels, rows, ms_out, values_out, taken)

    def _texts(self, run: _Run, low: int, high: int) -> Sequence[bytes]:
        if run.texts is not None:
            return run.texts[low:high]
        rows = int(run.ends[-1])
        begin = int(run.text_ends[low - 1]) if low else 0
        ends = (run.text_ends[low:high] - begin).tolist()
        blob = self._read(run.at + rows * _SAMPLE_BYTES + begin, ends[-1])
        return [bytes(blob[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def _samples(self, run: _Run, begin: int, end: int) -> tuple[Any, Any, pa.Array | None]:
        if run.step_of is not None and run.values is not None:
            kept = run.histograms.slice(begin, end - begin) if run.histograms is not None else None
            return run.step_of[begin:end], run.values[begin:end], kept
        rows = int(run.ends[-1])
        steps = np.frombuffer(self._read(run.at + 4 * begin, 4 * (end - begin)), np.int32)
        at = run.at + 4 * rows + 8 * begin
        values = np.frombuffer(self._read(at, 8 * (end - begin)), np.float64)
        if run.histograms_at is None:
            return steps, values, None
        first = begin // _HISTOGRAM_ROWS
        pieces = [
            pa.ipc.read_record_batch(pa.py_buffer(self._read(*span)), _HISTOGRAM_SCHEMA)[0]
            for span in run.histograms_at[first : (end - 1) // _HISTOGRAM_ROWS + 1]
        ]
        kept = pa.concat_arrays(pieces).slice(begin - first * _HISTOGRAM_ROWS, end - begin)
        return steps, values, kept

    def _read(self, at: int, size: int) -> bytearray:
        """Through no mapping: what is in the page cache is not our memory."""
        data = bytearray(size)
        left = memoryview(data)
        while left:
            got = os.preadv(self._file.fileno(), [left], at)
            if not got:
                raise BadData("the spooled answers were cut", where=self._directory)
            left, at = left[got:], at + got
        return data


_HISTOGRAM_ROWS = 1024
_HISTOGRAM_SCHEMA = pa.schema([("histogram", HISTOGRAM_TYPE)])


def _sorted_run(matrix: Matrix, window: Window, ids: Ints) -> _Run:
    from lake.systems.prometheus.reading import scan  # noqa: PLC0415  compiled code

    filled = matrix.rows > 0  # all of a series' samples may have been passed over
    order = np.argsort(ids, kind="stable")
    order = order[filled[order]]
    ids = ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise BadData("two series of one answer have the same labels, or ids that collide")
    ends = np.cumsum(matrix.rows)
    starts, rows = (ends - matrix.rows)[order], matrix.rows[order]
    size = int(rows.sum())
    step_of, values = np.empty(size, np.int32), np.empty(size, np.float64)
    scan.gather(starts, rows, matrix.step_of, matrix.values, step_of, values)
    histograms = matrix.histograms
    if histograms is not None:
        index = np.repeat(starts - (np.cumsum(rows) - rows), rows) + np.arange(size)
        histograms = histograms.take(pa.array(index))
    texts = [matrix.labels[at] for at in order.tolist()]
    text_ends = np.cumsum([len(text) for text in texts])
    hashes = np.array([hash(text) for text in texts], np.int64)
    taken = size * _SAMPLE_BYTES + int(text_ends[-1] if texts else 0) + _SERIES_BYTES * len(texts)
    if histograms is not None:
        taken += histograms.nbytes
    return _Run(window, ids, np.cumsum(rows), texts, text_ends, hashes, step_of, values,
                histograms, taken)  # fmt: skip


def _check_same(runs: list[_Run], ids: Ints, order: Ints) -> None:
    """Raises BadData where runs give different labels to one id."""
    if len(runs) < 2:
        return
    hashes = np.concatenate([run.hashes for run in runs])[order]
    ids = ids[order]
    same = ids[1:] == ids[:-1]
    if (same & (hashes[1:] != hashes[:-1])).any():
        raise BadData("two series have the same id, or one is written in two ways")


def _parts(ids: Ints, rows: Ints) -> Iterator[slice]:
    """Neighbouring series together, each whole: bounded in rows, and in how many there are."""
    first = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    upto = np.cumsum(np.add.reduceat(rows, first))
    begin = done = 0
    while begin < len(first):
        full = int(np.searchsorted(upto, done + _BLOCK_ROWS)) + 1
        end = min(full, begin + MOST_SERIES, len(first))
        yield slice(int(first[begin]), int(first[end]) if end < len(first) else len(ids))
        begin, done = end, int(upto[end - 1])


def _joined(pieces: list[Any]) -> Any:
    return np.ascontiguousarray(pieces[0]) if len(pieces) == 1 else np.concatenate(pieces)
