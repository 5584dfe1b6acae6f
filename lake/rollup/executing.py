"""Runs a rollup's statement over the file of one partition.

Belongs here: DuckDB, `day_rows`, checking what comes out. Does not: the file's header (sql),
storing the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.errors import BadData
from lake.partition.manifest import Manifest
from lake.partition.table import schema_to_json
from lake.query.connection import macro_connection
from lake.query.kinds import Kind, Struct, kind_of, quoted_name, quoted_text
from lake.query.merged import Node
from lake.query.notes import is_related, is_wildcard, parent_of
from lake.query.numbers import TEXT, as_text, read_as
from lake.rollup.making import Made, written
from lake.rollup.sql import RollupColumn, SqlRollup
from lake.systems.rollup import ROWS, Layout

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RESULT = "rolled_rows"
_BATCH_ROWS = 65_536


def executed(rollup: SqlRollup, table: Path, manifest: Manifest, scratch: Path) -> Made:
    """The rollup of the table in that file. Raises BadData with file and line."""
    with closing(macro_connection()) as connection:
        run(connection, rollup, table, manifest)
        keys = ", ".join(map(quoted_name, rollup.shape.keys))
        names = ", ".join(map(quoted_name, (*rollup.shape.keys, *rollup.shape.measures)))
        result = connection.execute(f"SELECT {names} FROM {RESULT} ORDER BY {keys}")  # noqa: S608
        reader = result.to_arrow_reader(_BATCH_ROWS)
        schema = _plain(reader.schema)
        batches = (batch.cast(schema) for batch in reader)
        made = written(rollup.shape, schema, _layout(schema), batches,
                       scratch / "rollup.parquet")  # fmt: skip
    return replace(made, left_out=_left_out(manifest, pq.read_schema(table), rollup.columns))


def _left_out(
    manifest: Manifest, schema: pa.Schema, columns: tuple[RollupColumn, ...]
) -> dict[str, int]:
    """Path to number of values that `day_rows` lacks, as the table's columns leave them out."""

    def is_read(path: str, column: RollupColumn) -> bool:
        read = ".".join(column.path)
        if not is_wildcard(path):
            return is_related(path, read)
        parent = parent_of(path)
        return _kind_at(row, column.path) is None and (not parent or read.startswith(f"{parent}."))

    row = _row(schema)
    left_out: dict[str, int] = manifest.details.get("left_out") or {}
    return {
        path: number
        for path, number in left_out.items()
        if not columns or any(is_read(path, column) for column in columns)
    }


def run(connection: DuckDBPyConnection, rollup: SqlRollup, table: Path, manifest: Manifest) -> None:
    """Leaves the statement's rows in the temporary table `rolled_rows`, checked. Raises BadData.

    The connection has the macros and one thread (lake.query.connection.macro_connection).
    """
    define_rows(connection, table, manifest, rollup)
    with _explained(rollup):
        statements = connection.extract_statements(rollup.sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise _wrong(rollup, "one SELECT statement", f"{len(statements)} statements")
        # On one line with the file's first, a comment: its line numbers stay.
        connection.execute(f"CREATE TEMP TABLE {RESULT} AS {rollup.sql}")
    _narrow(connection)
    _check(connection, rollup)


def _narrow(connection: DuckDBPyConnection) -> None:
    """Sums of integers, which DuckDB gives as HUGEINT, become BIGINT where they all fit."""
    for name, kind, *_ in connection.execute(f"DESCRIBE {RESULT}").fetchall():
        if kind != "HUGEINT":
            continue
        column = quoted_name(name)
        fits = f"coalesce(bool_and(TRY_CAST({column} AS BIGINT) IS NOT NULL), true)"
        sql = f"SELECT {fits} FROM {RESULT} WHERE {column} IS NOT NULL"  # noqa: S608
        if (connection.execute(sql).fetchone() or [False])[0]:
            connection.execute(f"ALTER TABLE {RESULT} ALTER {column} TYPE BIGINT")


def define_rows(
    connection: DuckDBPyConnection,
    table: Path,
    manifest: Manifest,
    rollup: SqlRollup | None = None,
) -> None:
    """Makes `day_rows`: the file's columns, or without any the table's own; and `day`."""
    source = f"read_parquet({quoted_text(str(table))}, hive_partitioning = false)"
    day = f"DATE {quoted_text(manifest.day)} AS day"
    chosen = ["*", day]
    if rollup and rollup.columns:
        row = _row(pq.read_schema(table))
        chosen = [day]
        for column in rollup.columns:
            try:
                chosen.append(_chosen(connection, source, row, column))
            except duckdb.Error as error:
                raise _wrong_type(rollup, column, error) from error
    select = f"SELECT {', '.join(chosen)} FROM {source} AS t"  # noqa: S608  names are quoted
    connection.execute(f"CREATE TEMP VIEW {ROWS} AS {select}")


def _chosen(connection: DuckDBPyConnection, source: str, row: Struct, column: RollupColumn) -> str:
    node, value = None, "NULL"
    if kind := _kind_at(row, column.path):
        node, value = Node(column.name), "t." + ".".join(map(quoted_name, column.path))
        node.add(kind, days=1)
        if column.type.upper() == TEXT:
            value = as_text(value, node)
    cast = read_as(value, column.type, node)
    try:
        connection.execute(f"SELECT {cast} FROM {source} AS t LIMIT 0")  # noqa: S608  quoted
    except duckdb.BinderException:  # a STRUCT without any member of the type's
        cast = read_as(f"TRY_CAST({value} AS JSON)", column.type, node)
    return f"{cast} AS {quoted_name(column.name)}"


def _row(schema: pa.Schema) -> Struct:
    return Struct(tuple((part["name"], kind_of(part)) for part in schema_to_json(schema)))


def _kind_at(row: Struct, path: tuple[str, ...]) -> Kind | None:
    """The kind of the table's column, or of the member at the path's end; None without it."""
    kind: Kind | None = row
    for name in path:
        kind = dict(kind.members).get(name) if isinstance(kind, Struct) else None
    return kind


def _check(connection: DuckDBPyConnection, rollup: SqlRollup) -> None:
    described = connection.execute(f"DESCRIBE {RESULT}").fetchall()
    names = [row[0] for row in described]
    expected = [*rollup.shape.keys, *rollup.shape.measures]
    if sorted(names) != sorted(expected):
        raise _wrong(rollup, "the columns " + ", ".join(expected), ", ".join(names))
    keys = ", ".join(map(quoted_name, rollup.shape.keys))
    twice = connection.execute(
        f"SELECT {keys} FROM {RESULT} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
    ).fetchone()
    if twice:
        values = ", ".join(map(str, twice))
        raise _wrong(rollup, f"one row for each {', '.join(rollup.shape.keys)}", f"two of {values}")


def _plain(schema: pa.Schema) -> pa.Schema:
    """DuckDB's Arrow types as the lake's tables have them: times in µs UTC, no views."""
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp(kind.unit, tz="UTC")
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def _layout(schema: pa.Schema) -> Layout:
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    counts = [field.name for field in schema if pa.types.is_integer(field.type)]
    times = [field.name for field in schema if pa.types.is_temporal(field.type)]
    return Layout(
        sorted_by=(),
        encodings=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        dictionary=(*texts, *counts, *times),
    )


@contextmanager
def _explained(rollup: SqlRollup) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        text = str(error).strip()
        line = re.search(r"LINE (\d+):", text)
        where = f"{rollup.path}, line {line[1]}" if line else str(rollup.path)
        raise BadData(
            "the rollup's statement fails",
            where=where,
            found=text.splitlines()[0] if text else type(error).__name__,
            remedy="correct the file; `day_rows` has the columns that its header names",
        ) from error


def _wrong_type(rollup: SqlRollup, column: RollupColumn, error: duckdb.Error) -> BadData:
    return BadData(
        "wrong header of a rollup",
        where=f"{rollup.path}, line {column.line}",
        expected=f"{column.name} TYPE = PATH, with a type of DuckDB or NUMBER",
        found=f"{column.type} ({str(error).splitlines()[0]})",
        remedy="correct the file; docs/reference.md describes the header",
    )


def _wrong(rollup: SqlRollup, expected: str, found: str) -> BadData:
    return BadData(
        "the rollup's statement returns something else",
        where=rollup.path,
        expected=expected,
        found=found,
        remedy="correct the statement, or the header",
    )
