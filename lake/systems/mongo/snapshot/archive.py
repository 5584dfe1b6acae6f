"""mongodump's archive format, read without mongorestore.

Belongs here: the prelude, the collections' interleaved blocks, their checksums. Does not:
writing documents to a server (mongo_load).

An archive is, in gzip: a magic number; the header document; one document for each collection;
a terminator; then blocks. A block is a document that names the collection, its documents, and
a terminator. Several collections are dumped at a time, so blocks alternate between them. The
last block of a collection has no documents and carries the CRC-64 of all of them.
Source: the format's description in mongo-tools, common/archive/spec.md
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import bson
from bson.errors import BSONError

from lake.base.errors import BadData
from lake.systems.mongo.snapshot.metadata import PLAIN, loads

_MAGIC = bytes.fromhex("6de29981")
_END = 0xFFFFFFFF
_LEAST, _MOST = 5, (16 << 20) + (16 << 10)  # MongoDB's own limits of a document
_BATCH_BYTES = 8 << 20
BUCKETS = "system.buckets."

Namespace = tuple[str, str]  # database, collection


@dataclass(frozen=True)
class Described:
    """A collection of the prelude; `metadata` as mongo_metadata reads it."""

    database: str
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """The collection's, without the prefix of buckets."""
        return str(self.metadata["collectionName"])


@dataclass
class _Sum:
    crc: int = 0
    ended: bool = False


@dataclass
class MongoArchive:
    """An archive that is read once. A context manager.

    `collections` are those of the prelude. Raises BadData if it is not an archive, is cut off,
    or does not have the checksum that it carries.
    """

    path: Path
    collections: list[Described] = field(default_factory=list)
    _sums: dict[Namespace, _Sum] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._file = gzip.open(self.path, "rb")
        try:
            self._read_prelude()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def documents(self) -> Iterator[tuple[Namespace, list[bytes]]]:
        """Batches of one collection's documents, in the order in which they were dumped.

        Time-series collections are named by their buckets where the server had such. The last
        batches are not proven before the iterator has ended.
        """
        while head := self._read(4, may_end=True):
            header = self._document(head)
            namespace = self._named(header)
            if header.get("EOF"):
                self._end(namespace, header)
                continue
            for batch in self._block(namespace):
                yield namespace, batch
        for namespace, checksum in self._sums.items():
            if not checksum.ended:
                self._fail("no end of a collection", ".".join(namespace))
        missing = {
            (collection.database, collection.name)
            for collection in self.collections
            if self._has_data(collection)
        }
        missing -= {(database, plain_name(name)) for database, name in self._sums}
        if missing:
            self._fail("a collection without its end", ", ".join(map(".".join, sorted(missing))))

    @staticmethod
    def _has_data(collection: Described) -> bool:
        return str(collection.metadata["type"]) != "view"

    def _read_prelude(self) -> None:
        if self._read(4, may_end=True) != _MAGIC:
            self._fail("no archive", "another magic number")
        self._document(self._read(4))  # versions and concurrency
        while not _is_end(head := self._read(4)):
            described = self._document(head)
            try:
                metadata = loads(described["metadata"]) if described["metadata"] else {}
                metadata.setdefault("collectionName", described["collection"])
                metadata.setdefault("type", described.get("type") or "collection")
                self.collections.append(Described(str(described["db"]), metadata))
            except (ValueError, TypeError, KeyError) as error:
                self._fail("a collection's metadata", error)

    def _block(self, namespace: Namespace) -> Iterator[list[bytes]]:
        from lake.systems.mongo.snapshot.crc64 import crc64  # noqa: PLC0415  compiled code

        batch: list[bytes] = []
        size, own = 0, self._sums[namespace]
        while True:
            head = self._read(4)
            ended = _is_end(head)
            if not ended:
                batch.append(self._bytes(head))
                size += len(batch[-1])
            if batch and (ended or size >= _BATCH_BYTES):
                own.crc = crc64(b"".join(batch), own.crc)
                yield batch
                batch, size = [], 0
            if ended:
                return

    def _named(self, header: dict[str, Any]) -> Namespace:
        try:
            namespace = str(header["db"]), str(header["collection"])
        except KeyError as error:
            self._fail("a block without its collection", error)
        if self._sums.setdefault(namespace, _Sum()).ended:
            self._fail("a block behind its collection's end", ".".join(namespace))
        return namespace

    def _end(self, namespace: Namespace, header: dict[str, Any]) -> None:
        own, expected = self._sums[namespace], int(header.get("CRC", 0)) % (1 << 64)
        if own.crc != expected:
            self._fail(
                f"another checksum of {'.'.join(namespace)}", f"{own.crc:016x}", f"{expected:016x}"
            )
        own.ended = True
        if not _is_end(self._read(4)):
            self._fail("documents behind a collection's end", ".".join(namespace))

    def _document(self, head: bytes) -> dict[str, Any]:
        try:
            return bson.decode(self._bytes(head), codec_options=PLAIN)
        except BSONError as error:
            self._fail("no BSON", error)

    def _bytes(self, head: bytes) -> bytes:
        size = int.from_bytes(head, "little")
        if not _LEAST <= size <= _MOST:
            self._fail("a document's length", size)
        return head + self._read(size - 4)

    def _read(self, size: int, *, may_end: bool = False) -> bytes:
        try:
            content = self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            self._fail("damaged gzip", error)
        if len(content) != size and not (may_end and not content):
            self._fail("cut off", f"{len(content)} of {size} bytes")
        return content

    def _fail(self, what: str, found: object, expected: object = None) -> NoReturn:
        raise BadData(
            f"not a whole mongodump archive: {what}",
            where=self.path,
            expected=expected,
            found=found,
            remedy="`lake snapshots verify` compares the stored objects; or restore another "
            "snapshot",
        )


def plain_name(collection: str) -> str:
    """A time-series collection's name from that of its buckets; any other name as it is."""
    return collection.removeprefix(BUCKETS)


def _is_end(head: bytes) -> bool:
    return int.from_bytes(head, "little") == _END
