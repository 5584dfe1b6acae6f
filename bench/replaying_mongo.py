"""A MongoDB server that has one collection and no work: it sends answers made beforehand.

Belongs here: as much of the wire protocol (OP_MSG) as reading a collection takes. Does not:
queries: whatever is asked, all documents are the answer. A real server is the limit long
before its readers are; this one shows what they can do.

Run by itself: `replaying_mongo.py FILE`; prints its port when it listens.
Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import itertools
import socketserver
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import bson
from bson.raw_bson import RawBSONDocument

_HEADER = struct.Struct("<iiii")
_OP_MSG, _OP_QUERY, _OP_REPLY = 2013, 2004, 1
_ANSWER_BYTES = 15 << 20
_DATABASE, _COLLECTION = "bench", "events"


class Answers:
    """The file's documents as cursors' batches, for each batch size that is asked for."""

    def __init__(self, path: Path) -> None:
        self._documents = list(bson.decode_file_iter(path.open("rb"), _RAW))
        self._made: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._documents)

    def of_size(self, most: int) -> list[bytes]:
        """Arrays of so many documents, at most 15 MiB each."""
        if most not in self._made:
            self._made[most] = [_array(part) for part in self._parts(most)]
        return self._made[most]

    def _parts(self, most: int) -> Iterator[list[bytes]]:
        part: list[bytes] = []
        size = 0
        for document in self._documents:
            if part and (len(part) >= most or size + len(document.raw) > _ANSWER_BYTES):
                yield part
                part, size = [], 0
            part.append(document.raw)
            size += len(document.raw) + 8
        yield part


_RAW = bson.CodecOptions(document_class=RawBSONDocument)


def _array(documents: list[bytes]) -> bytes:
    items = b"".join(b"\x03%d\0" % n + document for n, document in enumerate(documents))
    return struct.pack("<i", len(items) + 5) + items + b"\0"


def _cursor(field: str, array: bytes, cursor: int) -> bytes:
    rest = bson.encode({"id": bson.Int64(cursor), "ns": f"{_DATABASE}.{_COLLECTION}"})[4:]
    inner = b"\x04" + field.encode() + b"\0" + array + rest
    inner = struct.pack("<i", len(inner) + 4) + inner
    whole = b"\x03cursor\0" + inner + bson.encode({"ok": 1.0})[4:]
    return struct.pack("<i", len(whole) + 4) + whole


class _Connection(socketserver.BaseRequestHandler):
    answers: Answers
    cursors: ClassVar[dict[int, tuple[int, int]]] = {}  # a batch's size, and which comes next
    numbers = itertools.count(1)

    def handle(self) -> None:
        while len(head := self._take(16)) == 16:
            length, number, _, code = _HEADER.unpack(head)
            body = self._take(length - 16)
            if code == _OP_QUERY:  # the first hello of older drivers
                reply = bson.encode(_hello())
                reply = struct.pack("<iqii", 8, 0, 0, 1) + reply
                self._send(number, _OP_REPLY, reply)
            else:
                requested = bson.decode(_document(body), _LENIENT)
                self._send(number, _OP_MSG, b"\0\0\0\0\0" + self._answer(requested))

    def _take(self, size: int) -> bytes:
        taken = b""
        while len(taken) < size and (piece := self.request.recv(size - len(taken))):
            taken += piece
        return taken

    def _send(self, number: int, code: int, body: bytes) -> None:
        self.request.sendall(_HEADER.pack(16 + len(body), 1, number, code) + body)

    def _answer(self, requested: dict[str, Any]) -> bytes:
        match next(iter(requested)):
            case "find":
                # Drivers leave the first batch to the server: 101 documents.
                first = requested.get("batchSize", 0) or 1 << 30
                if requested.get("limit") or requested.get("singleBatch"):
                    few = list(
                        itertools.islice(self.answers._documents, requested.get("limit") or 1)
                    )
                    return _cursor("firstBatch", _array([document.raw for document in few]), 0)
                return self._batch("firstBatch", first, 0)
            case "getMore":
                return self._batch("nextBatch", *self.cursors.pop(requested["getMore"]))
            case "aggregate" | "count" if _counts(requested):
                count = len(self.answers)
                if "count" in requested:
                    return bson.encode({"n": count, "ok": 1.0})
                array = _array([bson.encode({"_id": 1, "n": count, "count": count})])
                return _cursor("firstBatch", array, 0)
            case "aggregate":
                return _cursor("firstBatch", _array([]), 0)
            case "listCollections":
                collection = {"name": _COLLECTION, "type": "collection", "options": {}, "info": {}}
                return _cursor("firstBatch", _array([bson.encode(collection)]), 0)
            case "listIndexes":
                collection = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
                return _cursor("firstBatch", _array([bson.encode(collection)]), 0)
            case "hello" | "isMaster" | "ismaster":
                return bson.encode(_hello())
            case "buildInfo" | "buildinfo":
                return bson.encode({"version": "8.2.0", "versionArray": [8, 2, 0, 0], "ok": 1.0})
            case "collStats" | "dbStats":
                return bson.encode({"count": len(self.answers), "size": 1, "ok": 1.0})
        return bson.encode({"ok": 1.0})

    def _batch(self, field: str, size: int, place: int) -> bytes:
        parts = self.answers.of_size(size)
        cursor = 0
        if place + 1 < len(parts):
            cursor = next(self.numbers)
            self.cursors[cursor] = (size, place + 1)
        return _cursor(field, parts[place], cursor)


def _counts(requested: dict[str, Any]) -> bool:
    return "count" in requested or any(
        "$group" in s or "$count" in s for s in requested["pipeline"]
    )


_LENIENT: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(
    datetime_conversion=bson.codec_options.DatetimeConversion.DATETIME_MS
)


def _document(body: bytes) -> bytes:
    """The command of an OP_MSG: its section of kind 0, which every driver sends first."""
    (size,) = struct.unpack_from("<i", body, 5)
    return body[5 : 5 + size]


def _hello() -> dict[str, Any]:
    return {
        "ismaster": True, "isWritablePrimary": True, "helloOk": True, "ok": 1.0,
        "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 25,
        "readOnly": False, "connectionId": 1, "logicalSessionTimeoutMinutes": 30,
    }  # fmt: skip


@contextmanager
def replaying(path: Path) -> Iterator[str]:
    """Its URI; it runs in a process of its own while the block does."""
    command = [sys.executable, __file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"mongodb://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def main() -> None:
    """Serves the file until it is killed."""
    _Connection.answers = Answers(Path(sys.argv[1]))
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Connection) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
