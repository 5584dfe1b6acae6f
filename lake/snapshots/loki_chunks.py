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
from dataclasses import dataclass

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
    """The name on a file system of an object; what is no chunk keeps its key."""
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
