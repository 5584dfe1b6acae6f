"""Arrow record batches to one Parquet object: encodings, row groups, hash.

Belongs here: how a table is laid out in Parquet. Does not: where it comes from or goes to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.partition.table import TableStream
from lake.store import Upload

# What is held in memory before it is encoded. Twice as many rows cost 90 MB more at the
# peak of a day of samples and save 1.5% of its bytes.
_GROUP_ROWS = 131_072
_GROUP_BYTES = 24 << 20
_PIECE_ROWS = 256  # a group ends between pieces: few enough rows that 100 KB each do no harm


@dataclass(frozen=True)
class Written:
    """What went into the object."""

    rows: int
    bytes: int
    sha256: str
    schema: pa.Schema


def write_parquet(stream: TableStream, upload: Upload) -> Written:
    """Takes all batches; the same rows give the same bytes, however they were cut.

    Columns of a dictionary's type are written from their codes, and read as plain ones; their
    bytes follow their dictionaries. Raises what the stream and the upload raise.
    """
    sink = _HashingSink(upload)
    rows = 0
    schema = _plain(stream.schema)
    with pq.ParquetWriter(sink, stream.schema, **_options(stream)) as writer:
        # The writer's own metadata would record how columns arrived, not what they are.
        if not stream.small:
            described = {"ARROW:schema": base64.b64encode(schema.serialize())}
            writer.add_key_value_metadata(described)
        for group in _row_groups(stream.batches):
            rows += group.num_rows
            writer.write_batch(group, row_group_size=group.num_rows)
            del group  # or it would stay while the next one is gathered
    return Written(rows, sink.size, sink.sha256.hexdigest(), schema)


def _has_codes(schema: pa.Schema) -> bool:
    return any(map(pa.types.is_dictionary, schema.types))


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ],
        schema.metadata,
    )


def _options(stream: TableStream) -> dict[str, Any]:
    order = [(name, "ascending") for name in stream.sorted_by]
    return {
        "version": "2.6",
        "compression": "zstd",
        "compression_level": dict(stream.zstd_levels) or 3,
        "use_dictionary": list(stream.dictionary),
        "column_encoding": dict(stream.encodings) or None,
        "sorting_columns": pq.SortingColumn.from_ordering(stream.schema, order) or None,
        "write_page_index": not stream.small,
        # A column of few bytes is one page: pyarrow's 20,000 rows a page, each with its header,
        # statistics and a zstd frame, took a quarter more bytes of a day of samples.
        "max_rows_per_page": _GROUP_ROWS,
        "store_schema": False,
        # Each write of codes looks at all of a dictionary: rather few and long ones.
        "write_batch_size": 16_384 if _has_codes(stream.schema) else None,
    }


def _row_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One batch per row group, bounded in rows and in bytes by what the rows hold alone."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for aligned in _aligned(batches):
        at = 0
        while at < aligned.num_rows:
            if not held and _is_whole_group(group := aligned.slice(at, _GROUP_ROWS)):
                yield group
                at += group.num_rows
                continue
            piece = aligned.slice(at, _PIECE_ROWS)
            at += piece.num_rows
            held.append(piece)
            rows += piece.num_rows
            # Not nbytes, which depends on how the piece was made.
            size += pa.ipc.get_record_batch_size(piece)
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield _taken(held)
                rows = size = 0
    if held:
        yield _taken(held)


def _is_whole_group(group: pa.RecordBatch) -> bool:
    """Whether its pieces, put together, would be this very group: no need to cut it then."""
    if group.num_rows < _GROUP_ROWS:
        return False
    # Not of a slice without rows: lists there are measured with all of their offsets.
    frame = pa.ipc.get_record_batch_size(pa.RecordBatch.from_pylist([], group.schema))
    pieces = _GROUP_ROWS // _PIECE_ROWS
    # Each piece has a frame, and may be padded by less than another one.
    most: int = pa.ipc.get_record_batch_size(group) + 2 * pieces * frame
    return most < _GROUP_BYTES


def _taken(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """All of them as one; the list is empty afterwards, so that they are not kept twice."""
    joined = pa.concat_batches(held)
    held.clear()
    return joined


def _aligned(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, a multiple of `_PIECE_ROWS` at a time, so that batches' ends do not show."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        if held:
            taken = batch.slice(0, _PIECE_ROWS - rows)
            held.append(taken)
            rows += taken.num_rows
            start = taken.num_rows
            if rows < _PIECE_ROWS:
                continue
            yield pa.concat_batches(held)
            held, rows = [], 0
        whole = (batch.num_rows - start) // _PIECE_ROWS * _PIECE_ROWS
        if whole:
            yield batch.slice(start, whole)
        if start + whole < batch.num_rows:
            held.append(batch.slice(start + whole))
            rows = batch.num_rows - start - whole
    if held:
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
