"""Arrow record batches to one Parquet object: encodings, row groups, hash.

Belongs here: how a table is laid out in Parquet. Does not: where it comes from or goes to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.store import Upload
from lake.base.table import TableStream

_PIECE_ROWS = 8192
_GROUP_ROWS = 262_144
_GROUP_BYTES = 48 << 20  # what is held in memory before it is encoded


@dataclass(frozen=True)
class Written:
    """What went into the object."""

    rows: int
    bytes: int
    sha256: str
    schema: pa.Schema


def write_parquet(stream: TableStream, upload: Upload) -> Written:
    """Takes all batches; the same batches give the same bytes, however they were cut.

    Raises what the stream and the upload raise.
    """
    sink = _HashingSink(upload)
    rows = 0
    with pq.ParquetWriter(sink, stream.schema, **_options(stream)) as writer:
        for group in _row_groups(stream):
            writer.write_table(group, row_group_size=max(1, group.num_rows))
            rows += group.num_rows
    return Written(rows, sink.size, sink.sha256.hexdigest(), stream.schema)


def _options(stream: TableStream) -> dict[str, Any]:
    order = [pq.SortingColumn(stream.schema.get_field_index(name)) for name in stream.sorted_by]
    return {
        "version": "2.6",
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": list(stream.dictionary),
        "column_encoding": dict(stream.encodings) or None,
        "sorting_columns": order or None,
        "write_page_index": True,
        "write_statistics": True,
    }


def _row_groups(stream: TableStream) -> Iterator[pa.Table]:
    """Row groups bounded in rows and in bytes."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for piece in _even_pieces(stream):
        held.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held, stream.schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, stream.schema)


def _even_pieces(stream: TableStream) -> Iterator[pa.RecordBatch]:
    """The same rows in pieces of one length, so that where batches ended does not show."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in stream.batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < _PIECE_ROWS:
            continue
        whole = pa.concat_batches(held)
        for start in range(0, rows - rows % _PIECE_ROWS, _PIECE_ROWS):
            yield whole.slice(start, _PIECE_ROWS)
        held = [whole.slice(rows - rows % _PIECE_ROWS)]
        rows %= _PIECE_ROWS
    if rows:
        yield pa.concat_batches(held)


class _HashingSink:
    """A file object, as pyarrow wants one, that counts and hashes what goes through."""

    closed = False

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        self.size += len(data)
        self._upload.write(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        self.closed = True
