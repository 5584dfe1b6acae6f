"""A day's rollup as a local file: while its table passes, or from the stored table.

Belongs here: the pass over batches, the Parquet file, the sums. Does not: storing it (storing),
what a row is (a system's `rollup`, sql).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.base.errors import BadData
from lake.partition.batches import batches_in
from lake.partition.content import fetch
from lake.partition.manifest import Manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json
from lake.rollup.definition import AnyRollup
from lake.rollup.sql import SqlRollup
from lake.store import Store
from lake.systems.rollup import Layout, Rollup, Shape

if TYPE_CHECKING:
    from lake.systems.rollup import Rolling

_BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Made:
    """A rollup's Parquet file and what its manifest records of it."""

    file: Path
    shape: Shape
    rows: int
    bytes: int
    sha256: str
    schema: list[dict[str, Any]]
    sums: dict[str, Any]
    left_out: dict[str, int] = field(default_factory=dict)  # of the table's columns that it reads


class Making:
    """A rollup in the making; `add` all batches of the table, then `finish`."""

    def __init__(self, rollup: Rollup, schema: pa.Schema, scratch: Path) -> None:
        self._shape = rollup.shape
        self._rolling: Rolling = rollup.begin(schema)
        self._file = scratch / "rollup.parquet"
        self._spool_file = scratch / "rollup.arrow"
        self._spool = pa.ipc.new_file(str(self._spool_file), self._rolling.schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows of the table."""
        self._write(self._rolling.add(batch))

    def finish(self) -> Made:
        """The rollup of all rows that were added."""
        self._write(self._rolling.finish())
        self._spool.close()
        with pa.memory_map(str(self._spool_file)) as spool:
            reader = pa.ipc.open_file(spool)
            batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
            made = written(self._shape, self._rolling.schema, self._rolling.layout, batches,
                           self._file)  # fmt: skip
        self._spool_file.unlink()
        return made

    def _write(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            self._spool.write_batch(batch)


def from_table(store: Store, rollup: AnyRollup, manifest: Manifest, scratch: Path) -> Made:
    """The rollup of a stored partition. Raises Missing and BadData where its object is not what
    the manifest records.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = scratch / "table.parquet"
    with table.open("w+b") as file:
        fetch(store, manifest, file)
    if isinstance(rollup, SqlRollup):
        from lake.rollup.executing import executed  # noqa: PLC0415  DuckDB

        made = executed(rollup, table, manifest, scratch)
    else:
        parquet = pq.ParquetFile(table)
        making = Making(rollup, parquet.schema_arrow, scratch)
        for batch in batches_in(parquet, _BATCH_ROWS):
            making.add(batch)
        made = making.finish()
    require_all_rows(made, manifest)
    table.unlink()
    return made


def require_all_rows(made: Made, manifest: Manifest) -> None:
    """Raises BadData where the rollup's rows do not add up to the table's number of rows."""
    if not made.shape.rows:
        return
    counted = sum(made.sums[name] for name in made.shape.rows)
    if counted != manifest.rows:
        raise BadData(
            "the rollup does not add up to its table",
            where=f"{manifest.dataset} {manifest.day}",
            expected=f"{manifest.rows} rows",
            found=f"{counted} in {' + '.join(made.shape.rows)}",
            remedy="report this; the table is not affected",
        )


def written(
    shape: Shape,
    schema: pa.Schema,
    layout: Layout,
    batches: Iterator[pa.RecordBatch],
    file: Path,
) -> Made:
    """Writes the rows to the file."""
    sums = Sums((*shape.sums, *(name for name in shape.rows if name not in shape.sums)))
    stream = TableStream(
        schema,
        sums.watching(batches),
        sorted_by=layout.sorted_by,
        encodings=layout.encodings,
        dictionary=layout.dictionary,
        zstd_levels=layout.zstd_levels,
        small=True,
    )
    with file.open("wb") as out:
        table = write_parquet(stream, _FileUpload(out))
    return Made(file, shape, table.rows, table.bytes, table.sha256, schema_to_json(table.schema),
                sums.to_json())  # fmt: skip


class Sums:
    """Sums of columns: exact for integers, rounded for floats."""

    def __init__(self, names: Iterable[str]) -> None:
        self._totals: dict[str, Any] = dict.fromkeys(names, 0)

    def watching(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, each added on its way."""
        for batch in batches:
            for name in self._totals:
                self._totals[name] += _sum(batch.column(name))
            yield batch

    def to_json(self) -> dict[str, Any]:
        """Numbers; as text what JSON has no number for: inf, -inf, nan."""
        return {name: _json(total) for name, total in self._totals.items()}


def _sum(column: pa.Array) -> Any:
    """Of integers exactly: Arrow's own sum of an int64 begins anew beyond ±2^63."""
    if pa.types.is_integer(column.type):
        column = column.cast(pa.decimal128(38, 0))
    total = pc.sum(column).as_py() or 0
    return int(total) if pa.types.is_decimal(column.type) and not column.type.scale else total


def _json(total: Any) -> Any:
    if isinstance(total, int):
        return total
    number = float(total)
    return number if math.isfinite(number) else str(number)


class _FileUpload:
    """A local file as write_parquet wants one."""

    etag = ""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes | memoryview) -> int:
        """Appends."""
        return int(self._file.write(data))
