"""A rollup compared with its table: read back, and computed again another way.

Belongs here: the comparison, row by row. Does not: the statements (a system's `rollup`, a file),
states without reading (checking).

Counts, times, labels, first, last, smallest and largest values have to be equal. Sums of floats
depend on the order of addition: they may differ by 1e-9 of themselves, or by 1e-12 of the scale
that the rollup's system names (the number of terms times the largest).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from lake.base.errors import Missing
from lake.partition.content import fetch
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.query.connection import macro_connection, sorting_memory
from lake.query.kinds import quoted_name, quoted_text
from lake.rollup.definition import AnyRollup
from lake.rollup.executing import RESULT, define_rows, run
from lake.rollup.sql import SqlRollup
from lake.store import Store
from lake.systems.rollup import EACH

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_STORED = "stored_rows"
_ONE_AT_A_TIME = Lock()
_OF_SCALE = 1e-12
_OF_ITSELF = 1e-9


def rollup_problems(
    store: Store, rollup: AnyRollup, manifest: Manifest, stored: RollupManifest
) -> list[str]:
    """Where a current rollup differs from its manifest and its table.

    Raises Missing and BadData where the table itself differs from its manifest.
    """
    with explained_full_disk(), scratch_directory() as scratch:
        rolled, table = scratch / "rolled.parquet", scratch / "table.parquet"
        if problem := _fetched(store, stored, rolled):
            return [problem]
        with table.open("w+b") as file:
            fetch(store, manifest, file)
        # Days are verified several at once; the rows of one may not fit into memory.
        with _ONE_AT_A_TIME, closing(_connection(rollup)) as connection:
            try:
                return list(_compared(connection, rollup, manifest, stored, rolled, table))
            except duckdb.Error as error:
                return [f"the rollup can't be compared: {str(error).splitlines()[0]}"]


def _connection(rollup: AnyRollup) -> DuckDBPyConnection:
    """A statement's floats are added in the order of the export: by one thread."""
    threads = 1 if isinstance(rollup, SqlRollup) else None
    return macro_connection(threads=threads, memory=sorting_memory())


def _fetched(store: Store, stored: RollupManifest, file: Path) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("wb") as out:
            for chunk in store.chunks(stored.key):
                digest.update(chunk)
                size += out.write(chunk)
    except Missing:
        return "the rollup's object is gone"
    if size != stored.bytes:
        return f"the rollup's object has {size} bytes, its manifest records {stored.bytes}"
    if digest.hexdigest() != stored.sha256:
        return "the rollup's sha256 is not its manifest's"
    return ""


def _compared(
    connection: DuckDBPyConnection,
    rollup: AnyRollup,
    manifest: Manifest,
    stored: RollupManifest,
    rolled: Path,
    table: Path,
) -> Iterator[str]:
    scales = _compute(connection, rollup, manifest, table)
    source = f"read_parquet({quoted_text(str(rolled))}, hive_partitioning = false)"
    connection.execute(f"CREATE TEMP TABLE {_STORED} AS FROM {source}")
    keys, same_rows = rollup.shape.keys, True
    for first, second, problem in (
        (_STORED, RESULT, "that the table has no rows for"),
        (RESULT, _STORED, "that are missing"),
    ):
        sql = f"FROM {first} AS a ANTI JOIN {second} AS b ON {_same(keys)}"
        if rows := _counted(connection, sql, keys):
            same_rows = False
            yield f"the rollup has rows {problem}: {rows}"
    sizes = f"SELECT (SELECT count(*) FROM {_STORED}), (SELECT count(*) FROM {RESULT})"  # noqa: S608
    had, has = connection.execute(sizes).fetchone() or (0, 0)
    if same_rows and had != has:
        yield f"the rollup has {had} rows, computed from the table there are {has}"
    elif same_rows and (rows := _out_of_order(connection, keys)):
        yield f"the rollup is not sorted by {', '.join(keys)}: {rows}"
    for column, scale in scales.items():
        joined = f"FROM {_STORED} AS a JOIN {RESULT} AS b ON {_same(keys)}"
        sql = f"{joined} WHERE NOT ({_rule(column, scale)})"
        if rows := _counted(connection, sql, keys):
            yield f"the rollup's {_path(column)} is not the table's: {rows}"
    yield from _sum_problems(connection, rollup, stored)


def _compute(
    connection: DuckDBPyConnection, rollup: AnyRollup, manifest: Manifest, table: Path
) -> Mapping[tuple[str, ...], str]:
    """Fills `rolled_rows`; returns the columns to compare, each with its scale."""
    if isinstance(rollup, SqlRollup):
        run(connection, rollup, table, manifest)
        described = connection.execute(f"DESCRIBE {RESULT}").fetchall()
        measures = [row[:2] for row in described if row[0] in rollup.shape.measures]
        return {(name,): "0" if kind in ("DOUBLE", "FLOAT") else "" for name, kind in measures}
    define_rows(connection, table, manifest)
    schema = pq.read_schema(table)
    connection.execute(f"CREATE TEMP TABLE {RESULT} AS {rollup.statement(schema)}")
    return rollup.compared(schema)


def _same(keys: Sequence[str]) -> str:
    """Of a key that may be NULL, too."""
    return " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in map(quoted_name, keys))


def _counted(connection: DuckDBPyConnection, sql: str, keys: Sequence[str]) -> str:
    """The number of rows, and the keys of one; "" without any."""
    texts = (f"coalesce(CAST(a.{key} AS VARCHAR), 'NULL')" for key in map(quoted_name, keys))
    row = connection.execute(f"SELECT count(*), min([{', '.join(texts)}]) {sql}").fetchone()
    if not row or not row[0]:
        return ""
    named = ", ".join(f"{key} {value}" for key, value in zip(keys, row[1], strict=True))
    return f"{row[0]}, such as that of {named}"


def _out_of_order(connection: DuckDBPyConnection, keys: Sequence[str]) -> str:
    """Rows that belong before the one above them. Readers leave out what an order rules out."""
    names = [quoted_name(key) for key in keys]
    row = f"ROW({', '.join(names)})"  # compares as ORDER BY does, NULL last
    with_above = (
        f"SELECT {', '.join(names)}, {row} AS here, lag({row}) OVER (ORDER BY rowid) AS above "  # noqa: S608
        f"FROM {_STORED}"
    )
    return _counted(connection, f"FROM ({with_above}) AS a WHERE here < above", keys)


def _path(column: tuple[str, ...]) -> str:
    return ".".join(column).replace(f".{EACH}", EACH)


def _rule(column: tuple[str, ...], scale: str) -> str:
    """Whether both sides are equal, or with a scale as near as rounding lets them be."""
    stored, again = _value("a", column), _value("b", column)
    equal = f"{stored} IS NOT DISTINCT FROM {again}"
    if not scale:
        return equal
    if EACH not in column:
        return f"{equal} OR coalesce({_is_near(stored, again, scale)}, false)"
    pair = "_pair[1] IS NOT DISTINCT FROM _pair[2] OR " + _is_near("_pair[1]", "_pair[2]", scale)
    # Of lists that differ in length the shorter one is filled up with NULL.
    near = f"list_transform(list_zip({stored}, {again}), lambda _pair: coalesce({pair}, false))"
    return f"{equal} OR coalesce(list_bool_and({near}), false)"


def _value(side: str, column: tuple[str, ...]) -> str:
    """A column, a member of a STRUCT, or the list of such members of a LIST's elements."""
    if EACH not in column:
        return ".".join((side, *map(quoted_name, column)))
    at = column.index(EACH)
    member = ".".join(("_each", *map(quoted_name, column[at + 1 :])))
    return f"list_transform({_value(side, column[:at])}, lambda _each: {member})"


def _is_near(stored: str, again: str, scale: str) -> str:
    of_scale = f"if(isfinite({scale}), {_OF_SCALE} * {scale}, 0)"
    return f"abs({stored} - {again}) <= greatest({_OF_ITSELF} * abs({stored}), {of_scale})"


def _sum_problems(
    connection: DuckDBPyConnection, rollup: AnyRollup, stored: RollupManifest
) -> Iterator[str]:
    for name in dict.fromkeys((*rollup.shape.sums, *rollup.shape.rows)):
        column = quoted_name(name)
        row = connection.execute(
            f"SELECT sum({column}), sum(abs({column})) FROM {RESULT}"  # noqa: S608
        ).fetchone()
        total, absolute = row or (None, None)
        if not _is_sum(stored.sums.get(name), total or 0, absolute or 0):
            yield (
                f"the rollup's manifest has {stored.sums.get(name)} as the sum of {name}, "
                f"the table {total}"
            )


def _is_sum(claimed: Any, total: Any, absolute: Any) -> bool:
    if isinstance(total, int):
        return bool(claimed == total)
    claimed, total = float(claimed if claimed is not None else "nan"), float(total)
    if not (math.isfinite(claimed) and math.isfinite(total)):
        return str(claimed) == str(total)
    return bool(abs(claimed - total) <= _OF_ITSELF * float(absolute))
