"""A Loki's chunk files: what their names contain, and how many lines each one holds.

Belongs here: the names' forms, the part of the format that counts lines. Does not: which
files there are (loki), the lines themselves.

Source of the format: Loki's chunk encoding, versions 1 to 4. The name has the tenant, the
stream's fingerprint, the first and the last line's time in ms, and a checksum. On a file system
it is in base64, whole up to schema v11 and its last part from v12 on.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lake.base.errors import BadData

_MAGIC = 0x012EE56A
_RAW_SIZES_FROM = 3  # the version
_TAIL_BYTES = 16
_OLD_END_BYTES = 4 + 8  # a checksum, where the section begins
_END_BYTES = 4 + 4 * 8  # a checksum, two sections' lengths and places
_KEY = re.compile(r"([^/]+)/[0-9a-f]{1,16}[:/]([0-9a-f]{1,16}):([0-9a-f]{1,16}):[0-9a-f]{1,8}")


@dataclass(frozen=True)
class ChunkName:
    """Whose lines, and from when to when (ms, both inclusive)."""

    tenant: str
    start_ms: int
    end_ms: int


def chunk_key(name: str) -> str:
    """A chunk's name on a file system as its key in an object store; '' for any other file."""
    folder, _, last = name.rpartition("/")
    try:
        decoded = base64.b64decode(last, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    key = f"{folder}/{decoded}" if folder else decoded
    return key if _KEY.fullmatch(key) else ""


def file_name(key: str) -> str:
    """The name on a file system of an object; anything that is not a chunk keeps its key."""
    if not _KEY.fullmatch(key):
        return key
    if key.count("/") == 1:  # up to schema v11
        return base64.b64encode(key.encode()).decode()
    folder, _, last = key.rpartition("/")
    return f"{folder}/{base64.b64encode(last.encode()).decode()}"


def is_chunk(key: str) -> bool:
    """Whether an object's key is a chunk's."""
    return _KEY.fullmatch(key) is not None


def parsed(name: str) -> ChunkName | None:
    """What a file's name contains, None where it is not a chunk's."""
    match = _KEY.fullmatch(chunk_key(name))
    return ChunkName(match[1], int(match[2], 16), int(match[3], 16)) if match else None


Read = Callable[[int, int], bytes]  # from where, how many bytes


@dataclass(frozen=True)
class Block:
    """A part of a chunk: its lines, the first and the last one's time in ns."""

    lines: int
    start_ns: int
    end_ns: int


def blocks(read: Read, size: int) -> list[Block]:
    """A chunk file's, from its last bytes. Raises BadData for anything that is not a chunk."""
    try:
        return list(_blocks(read, size))
    except (IndexError, struct.error) as error:
        raise BadData("not a chunk of a known format", found=error) from error


def lines_between(chunk_blocks: Iterable[Block], start_ns: int, end_ns: int) -> int:
    """The most lines that the half-open stretch can have: a block counts whole."""
    return sum(
        block.lines
        for block in chunk_blocks
        if block.start_ns < end_ns and block.end_ns >= start_ns
    )


def _blocks(read: Read, size: int) -> Iterator[Block]:
    tail = read(max(0, size - _TAIL_BYTES), _TAIL_BYTES)
    length, at = struct.unpack(">QQ", tail[-16:])
    has_raw_size = True
    if length >> 32:  # up to version 3 it is the end of the section and its checksum
        begin, version = _header(read)
        has_raw_size = version >= _RAW_SIZES_FROM
        end = size - _OLD_END_BYTES
    else:
        end = size - _END_BYTES
        begin, at = end - length, 0
    section = read(begin + at, end - begin - at)
    numbers = _Numbers(section)
    for _ in range(numbers.unsigned()):
        block = Block(numbers.unsigned(), numbers.signed(), numbers.signed())
        for _ in range(2 + has_raw_size):  # offset, size before compression, size
            numbers.unsigned()
        yield block


def _header(read: Read) -> tuple[int, int]:
    """Where the data begin, and their version."""
    (length,) = struct.unpack(">I", read(0, 4))
    begin = length + 4
    magic, version = struct.unpack(">IB", read(begin, 5))
    if magic != _MAGIC:
        raise IndexError(f"magic number {magic:#x}")
    return begin, version


class _Numbers:
    """Variable-length integers, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)
