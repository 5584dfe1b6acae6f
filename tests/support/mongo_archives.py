"""mongodump's archive format, written and read in a few lines of nobody's code under test."""

from __future__ import annotations

import gzip
from typing import Any

import bson
from bson import json_util

MAGIC, END = 0x8199E26D.to_bytes(4, "little"), b"\xff\xff\xff\xff"


def crc64(data: bytes) -> int:
    """Bit by bit, as ECMA-182 has it, reflected."""
    value = ~0 & (1 << 64) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xC96C5795D7870F42 if value & 1 else 0)
    return value ^ (1 << 64) - 1


def written(
    collections: list[dict[str, Any]], blocks: list[tuple[str, str, list[dict[str, Any]]]]
) -> bytes:
    """`collections` are preludes' documents; each block is of one collection."""
    parts = [MAGIC, bson.encode({"concurrent_collections": 4, "version": "0.1"})]
    parts += [bson.encode(collection) for collection in collections]
    parts.append(END)
    summed: dict[tuple[str, str], bytes] = {(collection["db"], collection["collection"]): b""
                                            for collection in collections}  # fmt: skip
    for database, name, documents in blocks:
        raw = b"".join(map(bson.encode, documents))
        header = {"db": database, "collection": name, "EOF": False, "CRC": bson.Int64(0)}
        parts += [bson.encode(header), raw, END]
        summed[database, name] = summed.get((database, name), b"") + raw
    for (database, name), raw in summed.items():
        crc = crc64(raw)
        signed = bson.Int64(crc - (1 << 64) if crc >> 63 else crc)
        header = {"db": database, "collection": name, "EOF": True, "CRC": signed}
        parts += [bson.encode(header), END]
    return gzip.compress(b"".join(parts))


def described(database: str, name: str, kind: str = "collection", **metadata: Any) -> dict:
    """A collection of the prelude."""
    content = {"collectionName": name, "type": kind, "indexes": [], **metadata}
    text = json_util.dumps(content, json_options=json_util.CANONICAL_JSON_OPTIONS)
    return {"db": database, "collection": name, "metadata": text, "size": 0, "type": kind}


def read(archive: bytes) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The blocks that have documents."""
    data, at, blocks = gzip.decompress(archive), 4, []

    def document() -> dict[str, Any] | None:
        nonlocal at
        size = int.from_bytes(data[at : at + 4], "little")
        decoded = None if data[at : at + 4] == END else bson.decode(data[at : at + size])
        at += 4 if decoded is None else size
        return decoded

    while document() is not None:
        pass
    while at < len(data):
        header, documents = document(), []
        while (read_document := document()) is not None:
            documents.append(read_document)
        if documents:
            blocks.append((header["db"], header["collection"], documents))
    return blocks
