"""Answers as Parquet and as Arrow IPC.

Belongs here: both formats, and types that they can't hold. Does not: where files lie (files).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.errors import UsageError
from lake.cli.rows import distinct_names
from lake.query import ArrowAnswer

_GROUP_ROWS = 131_072
_GROUP_BYTES = 24 << 20  # held in memory before it is encoded
# What Arrow takes from DuckDB with a loss: an offset, the sign of large values, leading zeros.
_LOSSY = re.compile(r"TIME WITH TIME ZONE|\bTIMETZ\b|\bUHUGEINT\b|\bBIT\b|\bBIGNUM\b")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")  # names of members, values of an ENUM
_NOT_IN_PARQUET = re.compile(r"\bINTERVAL\b|\bUNION\(")


def write_parquet(answer: ArrowAnswer, file: IO[bytes]) -> int:
    """Row groups of at most 131,072 rows, Zstandard; times are UTC. Returns the number of rows.

    Raises UsageError for a type that Parquet does not have.
    """
    _require(answer, (_LOSSY, _NOT_IN_PARQUET), "Parquet")
    schema = _schema(answer)
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(answer.batches, schema):
            rows += group.num_rows
            writer.write_table(group, row_group_size=max(1, group.num_rows))
    return rows


def write_arrow(answer: ArrowAnswer, file: IO[bytes]) -> int:
    """The IPC file format, uncompressed (Feather V2). Returns the number of rows.

    Raises UsageError for a type that Arrow does not have.
    """
    _require(answer, (_LOSSY,), "Arrow")
    schema = _schema(answer)
    rows = 0
    with pa.ipc.new_file(file, schema) as writer:
        for batch in answer.batches:
            rows += batch.num_rows
            writer.write_batch(_named(batch, schema))
    return rows


def _require(answer: ArrowAnswer, missing: Sequence[re.Pattern[str]], title: str) -> None:
    for name, kind in zip(answer.columns, answer.types, strict=True):
        if any(pattern.search(_QUOTED.sub("", kind)) for pattern in missing):
            raise UsageError(
                f"{title} has no type for a column of the answer",
                where=f"column {name}",
                found=kind,
                remedy="CAST it in the SQL, such as to VARCHAR",
            )


def _schema(answer: ArrowAnswer) -> pa.Schema:
    """With names that differ: readers find a column by its name."""
    names = distinct_names(answer.columns)
    return pa.schema(
        [field.with_name(name) for field, name in zip(answer.schema, names, strict=True)]
    )


def _named(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if held and (rows + batch.num_rows > _GROUP_ROWS or size + batch.nbytes > _GROUP_BYTES):
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
        held.append(_named(batch, schema))
        rows, size = rows + batch.num_rows, size + batch.nbytes
    if held:
        yield pa.Table.from_batches(held, schema)
