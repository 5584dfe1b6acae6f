"""A day's documents on disk: added in any order, returned in one fixed order.

Belongs here: files by the hour, sorting. Does not: where documents come from or go to.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from io import BufferedRandom
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.compiled import read_only
from lake.systems.mongo.reading.kinds import Int64s, UInt8s
from lake.systems.mongo.reading.locate import Located
from lake.systems.mongo.reading.loops.locate import gather

_HOURS = 24
_HOUR_MS = 3_600_000
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20
_KEY = np.dtype([("time_ms", "<i8"), ("high", "<u8"), ("low", "<u8"), ("size", "<i8")])
_SORTED_BY = ("time_ms", "high", "low")

Batch = tuple[UInt8s, Int64s]
"""Documents one behind the other, and where each begins."""


class Spool:
    """Documents of the day that begins at `start_ms`, sorted by time, then by `_id`'s bytes.

    In memory is what sorting one hour takes, some 100 bytes a document, and one batch.
    """

    def __init__(self, scratch: Path, start_ms: int) -> None:
        self._start_ms = start_ms
        self._hours = [_Hour(scratch / f"{hour:02}") for hour in range(_HOURS)]

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        for hour in self._hours:
            hour.remove()

    @property
    def documents(self) -> int:
        """How many were added."""
        return sum(len(hour) for hour in self._hours)

    @property
    def size_bytes(self) -> int:
        """How long they are together."""
        return sum(hour.size for hour in self._hours)

    def add(self, located: Located) -> None:
        """Appends documents; their times have to lie within the day."""
        hours = (located.rows["time_ms"] - self._start_ms) // _HOUR_MS
        for hour in np.unique(hours).tolist():
            self._hours[hour].add(located.data, located.rows[hours == hour])

    def batches(self) -> Iterator[Batch]:
        """All documents in pieces of a few MiB, those of quiet hours together.

        May be called more than once; the pieces are the same each time.
        """
        waiting: list[Batch] = []
        rows = size = 0
        for content, starts in chain.from_iterable(hour.batches() for hour in self._hours):
            if waiting and (rows + len(starts) > _BATCH_ROWS or size + len(content) > _BATCH_BYTES):
                yield _joined(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append((content, starts))
            rows += len(starts)
            size += len(content)
        if waiting:
            yield _joined(waiting)


class _Hour:
    """Files with the documents as they came, with what they are sorted by, and with their
    order where it is another one than they came in.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_suffix(suffix) for suffix in (".bson", ".keys", ".order")]
        self._documents: BufferedRandom | None = None
        self._keys: BufferedRandom | None = None
        self._ordered = False
        self._rows = 0
        self.size = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, data: UInt8s, rows: npt.NDArray[np.void]) -> None:
        if self._documents is None or self._keys is None:
            self._documents, self._keys = (path.open("w+b") for path in self._paths[:2])
        keys = np.empty(len(rows), _KEY)
        for name in _KEY.names or ():
            keys[name] = rows[name]
        size = int(keys["size"].sum())
        first = int(rows["begin"][0])
        if int(rows["begin"][-1]) + int(rows["size"][-1]) - first == size:
            self._documents.write(data[first : first + size].data)
        else:
            self._documents.write(_gathered(data, rows["begin"], rows["size"]).data)
        self._keys.write(keys.tobytes())
        self._rows += len(rows)
        self.size += size

    def batches(self) -> Iterator[Batch]:
        if self._documents is None or self._keys is None:
            return
        self._documents.flush()
        self._keys.flush()
        sizes, order = self._in_order(self._documents)
        ends = np.cumsum(sizes if order is None else sizes[order])
        begins = np.cumsum(sizes) - sizes
        for first, last in _cuts(ends):
            before = int(ends[first - 1]) if first else 0
            starts = np.concatenate([[before], ends[first : last - 1]]) - before
            if order is None:
                content = np.empty(int(ends[last - 1]) - before, np.uint8)
                self._documents.seek(before)
                if self._documents.readinto(content.data) != len(content):
                    raise AssertionError(f"{self._documents.name} was cut")
            else:
                rows = order[first:last]
                content = _picked(self._documents, begins[rows], sizes[rows])
            yield content, starts

    def _in_order(self, documents: BufferedRandom) -> tuple[Int64s, Int64s | None]:
        """The documents' sizes as they lie in the file; their order where it is another."""
        _, by_key, by_order = self._paths
        keys = np.fromfile(by_key, _KEY)
        sizes = keys["size"].copy()
        if not self._ordered:
            if not _ascend(keys):
                _order(keys, documents).tofile(by_order)
            self._ordered = True
        return sizes, np.fromfile(by_order, np.int64) if by_order.exists() else None

    def remove(self) -> None:
        for file in (self._documents, self._keys):
            if file is not None:
                file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._documents = self._keys = None


def _order(keys: npt.NDArray[np.void], documents: BufferedRandom) -> Int64s:
    """Which document is the first, and so on."""
    order = np.lexsort((keys["low"], keys["high"], keys["time_ms"]))
    same = np.ones(len(order) - 1, np.bool_)
    for name in _SORTED_BY:
        same &= keys[name][order[1:]] == keys[name][order[:-1]]
    # Only `_id`s with 15 equal bytes are left: whole documents decide.
    sizes = keys["size"]
    begins = np.cumsum(sizes) - sizes
    for first, last in _runs(np.flatnonzero(same).tolist()):
        rows = order[first:last].tolist()
        rows.sort(key=lambda row: os.pread(documents.fileno(), int(sizes[row]), int(begins[row])))
        order[first:last] = rows
    return order


def _picked(file: BufferedRandom, begins: Int64s, sizes: Int64s) -> UInt8s:
    """Documents from anywhere in the file. It is mapped for so long only: what was read stays
    in this process's memory while it is.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = read_only(content)
        picked = _gathered(view, begins, sizes)
        del view  # or it could not be unmapped
    return picked


def _gathered(data: UInt8s, begins: Any, sizes: Any) -> UInt8s:
    """The pieces one behind the other."""
    out = np.empty(int(sizes.sum()), np.uint8)
    gather(data, np.ascontiguousarray(begins), np.ascontiguousarray(sizes), out)
    return out


def _ascend(keys: npt.NDArray[np.void]) -> bool:
    """Whether each key is above the one before."""
    above = np.zeros(len(keys) - 1, np.bool_)
    equal = ~above
    for name in _SORTED_BY:
        above |= equal & (keys[name][1:] > keys[name][:-1])
        equal &= keys[name][1:] == keys[name][:-1]
    return bool(above.all())


def _runs(equal_to_next: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of neighbours that are equal."""
    first = last = -1
    for index in equal_to_next:
        if index != last:
            if last > first:
                yield first, last + 1
            first = index
        last = index + 1
    if last > first:
        yield first, last + 1


def _joined(batches: Sequence[Batch]) -> Batch:
    """One piece out of several."""
    if len(batches) == 1:
        return batches[0]
    sizes = np.cumsum([0, *(len(content) for content, _ in batches)])
    starts = [starts + before for (_, starts), before in zip(batches, sizes, strict=False)]
    return np.concatenate([content for content, _ in batches]), np.concatenate(starts)


def _cuts(ends: Int64s) -> Iterator[tuple[int, int]]:
    """Half-open ranges of bounded rows and bytes, at least one row each."""
    first = before = 0
    while first < len(ends):
        last = int(np.searchsorted(ends, before + _BATCH_BYTES, side="right"))
        last = max(first + 1, min(last, first + _BATCH_ROWS))
        yield first, last
        first, before = last, int(ends[last - 1])
