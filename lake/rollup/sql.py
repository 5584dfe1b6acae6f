"""A rollup defined by a SQL file: a header, and one statement over a day's rows.

Belongs here: reading and checking the file, running its statement. Does not: which datasets have
one (definition), storing the result (storing).

The first line is the description. Below it stand `-- key: value` lines:

    grain      what one row is
    keys       the columns that identify a row, by comma
    measures   the other columns, by comma
    column     NAME TYPE = PATH: a column of `day_rows`, read from the table's column PATH (dotted
               where it is nested, "quoted" where a name has a dot) as this type; NULL where the
               day's table has no such column or a value does not fit. NUMBER is the type that the
               day's numbers have, and NULL for what is no number. One line per column; without any
               line `day_rows` has the table's own columns. `day` is always there
    sums       the measures that add up over rows, by comma; may be left out
    rows       the measures that add up to the number of the table's rows; may be left out

An empty comment ends these lines; prose below it may have colons.

The statement reads `day_rows` and returns the keys and the measures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lake.base.headers import Header
from lake.config.rollups import SQL_RULES, sql_digest
from lake.systems.rollup import Shape

_KEYS = ("grain", "keys", "measures", "column", "sums", "rows")
_COLUMN = re.compile(r'("(?:[^"]|"")+"|[A-Za-z_]\w*)\s+(.+?)\s*=\s*(.+)')


@dataclass(frozen=True)
class RollupColumn:
    """A column of `day_rows`: `type` is DuckDB's or NUMBER, `path` the names from the table's
    column on, `line` its place in the file.
    """

    name: str
    type: str
    path: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class SqlRollup:
    """One file. `sql` is all of it, so that DuckDB's line numbers are the file's."""

    path: Path
    description: str
    shape: Shape
    columns: tuple[RollupColumn, ...]
    sql: str


def read_rollup_file(path: Path) -> SqlRollup:
    """Raises BadData with file and line where the header is invalid."""
    header = Header(path, "rollup", _KEYS, {"column"})
    header.require("grain", "keys", "measures")
    keys, measures, sums, rows = (
        _names(header, key) for key in ("keys", "measures", "sums", "rows")
    )
    for key, names in (("sums", sums), ("rows", rows)):
        if other := [name for name in names if name not in measures]:
            raise header.wrong(
                header.lines[key][0][0],
                "names of measures: " + ", ".join(measures),
                ", ".join(other),
            )
    shape = Shape(
        kind="sql",
        version=SQL_RULES,
        grain=header.lines["grain"][0][1],
        keys=keys,
        measures=measures,
        sums=sums,
        rows=rows,
        sql_sha256=sql_digest(header.sql),
    )
    columns = tuple(_column(header, *line) for line in header.lines.get("column", []))
    return SqlRollup(path, header.description, shape, columns, header.sql)


def _names(header: Header, key: str) -> tuple[str, ...]:
    """Names of columns, which DuckDB does not separate by case."""
    names = header.names(key)
    folded = [name.lower() for name in names]
    if len(set(folded)) < len(names):
        raise header.wrong(*_line(header, key, "different names, by comma"))
    if "day" in folded:
        raise header.wrong(*_line(header, key, "names without `day`, a column of every rollup"))
    return names


def _line(header: Header, key: str, expected: str) -> tuple[int, str, str]:
    line, text = header.lines[key][0]
    return line, expected, text


def _column(header: Header, line: int, text: str) -> RollupColumn:
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise header.wrong(line, "column: NAME TYPE = PATH", text)
    name = match[1].strip('"').replace('""', '"')
    return RollupColumn(name, match[2], header.field_path(line, match[3].strip()), line)
