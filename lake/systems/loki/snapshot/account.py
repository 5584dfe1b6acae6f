"""Whether the chunks of a snapshot account for the lines that Loki counted.

Belongs here: counting lines in the chunk files of a day. Does not: which files there are, or
waiting for a flush (loki).

Everything that Loki counted before a flush is in chunks after it. A line that is in two chunks
(of two replicas) counts twice here, and a block of lines that reaches over midnight counts whole
on both days. So the chunks of a whole snapshot hold at least as many lines as were counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.store import Store
from lake.systems.loki.snapshot.chunks import Block, ChunkName, lines_between
from lake.systems.loki.snapshot.chunks import blocks as blocks_of

_AT_ONCE = 16
_TAIL_BYTES = 64 << 10


class ChunkFile(Protocol):
    """A chunk, on a disk or in a bucket."""

    @property
    def name(self) -> ChunkName:
        """What its name contains."""

    def blocks(self) -> list[Block]:
        """Its blocks of lines. Raises BadData, and what reading it raises."""


@dataclass(frozen=True)
class OnDisk:
    """See ChunkFile."""

    name: ChunkName
    path: Path

    def blocks(self) -> list[Block]:
        """See ChunkFile."""
        with self.path.open("rb") as file:

            def read(at: int, length: int) -> bytes:
                file.seek(at)
                return file.read(length)

            return blocks_of(read, file.seek(0, 2))


@dataclass(frozen=True)
class InBucket:
    """See ChunkFile."""

    name: ChunkName
    store: Store
    key: str
    size: int

    def blocks(self) -> list[Block]:
        """See ChunkFile."""
        tail_at = max(0, self.size - _TAIL_BYTES)
        tail = b"".join(self.store.chunks(self.key, tail_at))

        def read(at: int, length: int) -> bytes:
            if at >= tail_at:
                return tail[at - tail_at :][:length]
            return b"".join(self._from(at, length))[:length]

        return blocks_of(read, self.size)

    def _from(self, at: int, length: int) -> Iterator[bytes]:
        for chunk in self.store.chunks(self.key, at):
            yield chunk
            length -= len(chunk)
            if length <= 0:
                return


class LinesInChunks:
    """The most lines that the chunks of some tenants hold of a day; each chunk is read once.

    `unreadable` is the number of chunks, at the last look, of an unknown format, or that were
    not written to their ends.
    """

    def __init__(self, tenants: Iterable[str]) -> None:
        self.unreadable = 0
        self._tenants = frozenset(tenants)
        self._blocks: dict[ChunkFile, list[Block]] = {}

    def of(self, day: Day, chunks: Iterable[ChunkFile]) -> int:
        """Of these chunks. One that retention has removed meanwhile has no lines."""
        mine = [
            chunk
            for chunk in chunks
            if chunk.name.tenant in self._tenants
            and chunk.name.start_ms < day.end_ms
            and chunk.name.end_ms >= day.start_ms
        ]
        new = [chunk for chunk in mine if chunk not in self._blocks]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = dict(zip(new, pool.map(_blocks, new), strict=True))
        self._blocks |= {chunk: blocks for chunk, blocks in read.items() if blocks is not None}
        self.unreadable = sum(blocks is None for blocks in read.values())
        known = (self._blocks.get(chunk, []) for chunk in mine)
        return sum(lines_between(blocks, day.start_ns, day.end_ns) for blocks in known)


def _blocks(chunk: ChunkFile) -> list[Block] | None:
    """None where they can't be read."""
    try:
        return chunk.blocks()
    except (FileNotFoundError, Missing):
        return []
    except BadData:
        return None
