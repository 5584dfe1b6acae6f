"""A day's documents on disk: taken as they come, given back in one fixed order.

Belongs here: files by the hour, sorting. Does not: where documents come from or go to.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import numpy as np

from lake.sources.mongo.kinds import Int64s

_HOURS = 24
_HOUR_MS = 3_600_000
_ID_PREFIX = Struct(">QQ")
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20


class Spool:
    """Documents of the day that begins at `start_ms`, sorted by time, then by `_id`'s bytes.

    In memory are some 40 bytes a document; sorted is one hour at a time.
    """

    def __init__(self, scratch: Path, start_ms: int) -> None:
        self._start_ms = start_ms
        self._hours = [_Hour(scratch / f"{hour:02}.bson") for hour in range(_HOURS)]

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

    def add(self, document: memoryview, time_ms: int, id_bytes: bytes) -> None:
        """Appends a document; its time has to lie within the day."""
        self._hours[(time_ms - self._start_ms) // _HOUR_MS].add(document, time_ms, id_bytes)

    def batches(self) -> Iterator[tuple[bytes, list[int]]]:
        """All documents in pieces of a few MiB: their bytes, and where each begins.

        May be called more than once; the pieces are the same each time.
        """
        for hour in self._hours:
            yield from hour.batches()


class _Hour:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.size = 0
        self._time = array("q")
        self._id_high, self._id_low = array("Q"), array("Q")
        self._begin = array("q")
        self._order: Int64s | None = None

    def __len__(self) -> int:
        return len(self._begin)

    def add(self, document: memoryview, time_ms: int, id_bytes: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("w+b")
        high, low = _ID_PREFIX.unpack(id_bytes[:16].ljust(16, b"\0"))
        self._time.append(time_ms)
        self._id_high.append(high)
        self._id_low.append(low)
        self._begin.append(self.size)
        self._file.write(document)
        self.size += len(document)

    def batches(self) -> Iterator[tuple[bytes, list[int]]]:
        if self._file is None:
            return
        self._file.flush()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            begins = np.append(np.frombuffer(self._begin, np.int64), self.size)
            if self._order is None:
                self._order = self._sorted(content, begins)
            sizes = np.diff(begins)[self._order]
            for first, last in _cuts(sizes.tolist()):
                rows = self._order[first:last]
                bounds = zip(begins[rows].tolist(), begins[rows + 1].tolist(), strict=True)
                pieces = [content[begin:end] for begin, end in bounds]
                starts = np.cumsum(sizes[first:last]) - sizes[first:last]
                yield b"".join(pieces), starts.tolist()

    def _sorted(self, content: mmap.mmap, begins: Int64s) -> Int64s:
        high, low = np.frombuffer(self._id_high, np.uint64), np.frombuffer(self._id_low, np.uint64)
        time = np.frombuffer(self._time, np.int64)
        order = np.lexsort((low, high, time))
        same = np.ones(len(order) - 1, np.bool_)
        for key in (time, high, low):
            same &= key[order[1:]] == key[order[:-1]]
        # Only `_id`s with 15 equal bytes are left: whole documents decide.
        for first, last in _runs(np.flatnonzero(same).tolist()):
            rows = order[first:last].tolist()
            rows.sort(key=lambda row: content[begins[row] : begins[row + 1]])
            order[first:last] = rows
        return order

    def remove(self) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink()
            self._file = None


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


def _cuts(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of at most so many rows and bytes, at least one row each."""
    first = total = 0
    for index, size in enumerate(sizes):
        if index > first and (index - first >= _BATCH_ROWS or total + size > _BATCH_BYTES):
            yield first, index
            first, total = index, 0
        total += size
    if len(sizes) > first:
        yield first, len(sizes)
