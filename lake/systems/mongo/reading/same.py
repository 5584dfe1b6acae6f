"""An order-independent hash of a set of documents, to compare two sets.

Belongs here: which differences between documents do not count. Does not: where documents come
from, who compares.

Documents are the same if they have the same fields with equal values, as rebuilding promises:
the order of a document's fields and the width of integers do not count, nor does the order of
the documents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from struct import Struct

from lake.systems.mongo.reading.elements import MalformedError, elements

_INT32, _INT64, _DOCUMENT, _ARRAY = 0x10, 0x12, 0x03, 0x04
_MASK = (1 << 128) - 1
_narrow, _wide = Struct("<i").unpack, Struct("<q").pack


@dataclass
class Documents:
    """The sum of the documents' hashes, and how many they are."""

    total: int = 0
    count: int = 0

    def add(self, document: bytes) -> None:
        """Counts one in. Anything that is not BSON is the same only byte for byte."""
        self.total = (self.total + int.from_bytes(digest(document), "little")) & _MASK
        self.count += 1


def digest(document: bytes) -> bytes:
    """16 bytes that documents have in common if and only if they are the same."""
    try:
        content = _document(document, 0)
    except (MalformedError, RecursionError):
        content = document
    return hashlib.blake2b(content, digest_size=16).digest()


def content_of(data: bytes, tag: int, at: int) -> bytes:
    """What the sub-document or array that begins there has in common with all equal ones."""
    return _document(data, at) if tag == _DOCUMENT else _array(data, at)


def _document(data: bytes, at: int) -> bytes:
    """The fields in order of their names; of one name in their own order."""
    fields = sorted(_values(data, at), key=lambda field: field[0])
    return b"".join(_pieces([piece for field in fields for piece in field]))


def _array(data: bytes, at: int) -> bytes:
    return b"".join(_pieces([piece for item in _values(data, at) for piece in item]))


def _values(data: bytes, at: int) -> list[tuple[bytes, bytes]]:
    """Names, and types with values."""
    values = []
    for tag, name, begin, end in elements(data, at):
        value = data[begin:end]
        if tag == _DOCUMENT:
            value = _document(data, begin)
        elif tag == _ARRAY:
            value = _array(data, begin)
        elif tag == _INT32:
            tag, value = _INT64, _wide(*_narrow(value))  # noqa: PLW2901
        values.append((name, bytes([tag]) + value))
    return values


def _pieces(parts: list[bytes]) -> list[bytes]:
    """Each behind its length, so that no two lists give the same bytes."""
    return [piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]
