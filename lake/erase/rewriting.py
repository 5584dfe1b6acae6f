"""A day's object without the rows that a condition matches, as a local file, and the proof of it.

Belongs here: reading, filtering, writing, comparing. Does not: replacing the stored object
(erasing), what a condition is.

Rows are read and written in batches, with the types, order, encodings and row groups that the
object had. They are read as plain values: a dictionary would keep values that no row has any more.
DuckDB decides which rows match, in the order of the file. What was written is read again: it has to
have the fingerprint of the rows that were to stay, DuckDB has to match none of them, and both parts
have to add up to the day before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.base.day import Day
from lake.base.errors import BadData
from lake.erase.condition import Condition
from lake.partition.batches import batches_in
from lake.partition.fingerprint import Fingerprint
from lake.partition.manifest import Manifest
from lake.partition.parquet import Written, write_parquet
from lake.partition.table import TableStream
from lake.query.failures import explained
from lake.query.kinds import quoted_name
from lake.query.merged import REST
from lake.query.tables import Table
from lake.store.directory import DirectoryStore
from lake.systems.registry import system

_ROWS = 65_536
RAW = "_raw"  # of documents, as REST: see MongoDB's tables
DOCUMENTS_WITH = {REST: "documents_with_rest", RAW: "documents_with_raw"}  # manifests' details
_NO_ENCODING = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}


@dataclass(frozen=True)
class Rewritten:
    """`file` has the rows that stay, `erased` is the number of the others. `before` is the
    fingerprint of all of them. `having` are how many of those that stay have a value in `_rest` and
    `_raw`, of a table with these columns.
    """

    file: Path
    written: Written
    erased: int
    fingerprint: str
    before: str
    having: dict[str, int]


def matching(
    connection: duckdb.DuckDBPyConnection, table: Table, day: Day, file: str, condition: Condition
) -> int:
    """How many rows of a day's object match. Raises what the query means."""
    query = f"SELECT count(*) FROM {_rows(table, day, file)} WHERE {condition.sql}"  # noqa: S608
    with explained(file):
        (matched,) = connection.cursor().execute(query).fetchone() or (0,)
    return int(matched)


def rewrite(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    manifest: Manifest,
    file: Path,
    condition: Condition,
    folder: Path,
) -> Rewritten | None:
    """The day without the rows that match; None where none does. `file` is the day's object.

    Raises BadData where the result is not proven: nothing is stored then.
    """
    day = Day.parse(manifest.day)
    matched = matching(connection, table, day, str(file), condition)
    if not matched:
        return None
    before, kept, erased = Fingerprint(), Fingerprint(), Fingerprint()
    parquet = pq.ParquetFile(file)
    having = {name: 0 for name in (REST, RAW) if name in parquet.schema_arrow.names}
    masks = _masks(connection, table, day, str(file), condition)

    def staying() -> Iterator[pa.RecordBatch]:
        schema = _plain(parquet.schema_arrow)
        for batch in batches_in(parquet, _ROWS):
            mask = masks.take(batch.num_rows)
            plain = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
            before.add(plain)
            erased.add(plain.filter(mask))
            left = plain.filter(pc.invert(mask))
            kept.add(left)
            for column in having:
                having[column] += left.num_rows - left.column(column).null_count
            yield left
        masks.finish()

    name = f"day={day}/data.parquet"  # `day` is in its path
    with DirectoryStore(folder).upload(name) as out:
        written = write_parquet(_stream(parquet, manifest, staying()), out)
    made = Rewritten(folder / name, written, erased.rows, str(kept), str(before), having)
    problems = [
        *_counted(manifest, made, matched),
        *_added_up(manifest, before, kept, erased),
        *_read_again(connection, table, day, made, condition),
    ]
    if problems:
        raise BadData(
            "the rewritten day is not the day without the matching rows",
            where=f"{manifest.dataset} {manifest.day}",
            found="; ".join(problems),
            remedy="the stored day stays as it is; report this",
        )
    return made


def _counted(manifest: Manifest, made: Rewritten, matched: int) -> Iterator[str]:
    if made.erased != matched:
        yield f"{matched} rows match, {made.erased} were left out"
    if made.written.rows + made.erased != manifest.rows:
        yield f"{made.written.rows} rows and {made.erased} are not {manifest.rows}"


def _added_up(
    manifest: Manifest, before: Fingerprint, kept: Fingerprint, erased: Fingerprint
) -> Iterator[str]:
    if manifest.fingerprint and str(before) != manifest.fingerprint:
        yield f"the day's rows are {before}, its manifest has {manifest.fingerprint}"
    if str(Fingerprint((kept.total + erased.total) % (1 << 128))) != str(before):
        yield "the rows that stay and the others do not add up to the day"


def _read_again(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    day: Day,
    made: Rewritten,
    condition: Condition,
) -> Iterator[str]:
    seen = Fingerprint()
    for batch in batches_in(pq.ParquetFile(made.file), _ROWS):
        seen.add(batch)
    if (str(seen), seen.rows) != (made.fingerprint, made.written.rows):
        yield f"the file has {seen.rows} rows, {seen}, and not {made.fingerprint}"
    if left := matching(connection, table, day, str(made.file), condition):
        yield f"{left} rows that match are left"


class _Masks:
    """DuckDB's answers for each row, in the order of the file."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self._held = pa.array([], pa.bool_())

    def take(self, rows: int) -> pa.BooleanArray:
        """Those of the next rows. Raises BadData where there are fewer."""
        while len(self._held) < rows:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                raise _Masks.other_rows() from None
            self._held = pa.concat_arrays([self._held, batch.column(0)])
        taken, self._held = self._held[:rows], self._held[rows:]
        return taken

    def finish(self) -> None:
        """Raises BadData where there are more."""
        if len(self._held) or any(batch.num_rows for batch in self._reader):
            raise _Masks.other_rows()

    @staticmethod
    def other_rows() -> BadData:
        return BadData(
            "DuckDB and Arrow read different numbers of rows from one file", remedy="report this"
        )


def _masks(
    connection: duckdb.DuckDBPyConnection, table: Table, day: Day, file: str, condition: Condition
) -> _Masks:
    rows = _rows(table, day, file)
    query = f"SELECT coalesce({condition.sql}, false) AS erased FROM {rows}"  # noqa: S608
    cursor = connection.cursor()
    cursor.execute("SET preserve_insertion_order = true")
    with explained(file):
        return _Masks(cursor.execute(query).to_arrow_reader(_ROWS))


def _rows(table: Table, day: Day, file: str) -> str:
    return f"({table.day_statement(day, file)}) AS {quoted_name(table.dataset)}"


def _stream(
    parquet: pq.ParquetFile, manifest: Manifest, batches: Iterator[pa.RecordBatch]
) -> TableStream:
    """With the layout that the object has; the level of compression is in no file."""
    encodings, dictionary = _layout(parquet)
    return TableStream(
        schema=_plain(parquet.schema_arrow),
        batches=batches,
        sorted_by=_sorted_by(parquet),
        encodings=encodings,
        dictionary=dictionary,
        zstd_levels=system(manifest.source).zstd_levels(),
    )


def _layout(parquet: pq.ParquetFile) -> tuple[dict[str, str], tuple[str, ...]]:
    """By leaf column: its encoding, and whether it has a dictionary."""
    encodings: dict[str, str] = {}
    dictionary: dict[str, None] = {}
    for number in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            if column.has_dictionary_page:
                dictionary[column.path_in_schema] = None
            elif own := set(column.encodings) - _NO_ENCODING:
                encodings[column.path_in_schema] = own.pop()
    return encodings, tuple(dictionary)


def _sorted_by(parquet: pq.ParquetFile) -> tuple[str, ...]:
    if not parquet.metadata.num_row_groups:
        return ()
    order = parquet.metadata.row_group(0).sorting_columns
    return tuple(parquet.schema.column(by.column_index).path for by in order)


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without what reading adds: the numbers of the columns in that file."""
    return pa.schema([_plain_field(column) for column in schema], schema.metadata)


def _plain_field(column: pa.Field) -> pa.Field:
    kind: Any = column.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_plain_field(member) for member in kind])
    elif pa.types.is_list(kind):
        kind = pa.list_(_plain_field(kind.value_field))
    elif pa.types.is_large_list(kind):
        kind = pa.large_list(_plain_field(kind.value_field))
    elif pa.types.is_map(kind):
        kind = pa.map_(_plain_field(kind.key_field), _plain_field(kind.item_field))
    own = {k: v for k, v in (column.metadata or {}).items() if not k.startswith(b"PARQUET:")}
    return pa.field(column.name, kind, column.nullable, own or None)
