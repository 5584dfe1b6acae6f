"""A rollup defined by a file of SQL: a header, and one statement over a day's rows.

Belongs here: reading and checking the file, running its statement. Does not: which datasets have
one (definition), storing the result (storing).

The first line is the description. Below it stand `-- key: value` lines:

    grain      what one row is
    keys       the columns that identify a row, by comma
    measures   the other columns, by comma
    column     NAME TYPE = PATH: a column of `day_rows`, read from the table's column PATH (dotted
               where it is nested, "quoted" where a name has a dot) as this type; NULL where the
               day's table has no such column or a value does not fit. One line a column; without
               any line `day_rows` has the table's own columns. `day` is always there
    sums       the measures that add up over rows, by comma; may be left out
    rows       the measures that add up to the number of the table's rows; may be left out

An empty comment ends these lines; prose below it may have colons.

The statement reads `day_rows` and returns the keys and the measures.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.base.causes import cause
from lake.base.errors import BadData
from lake.base.headers import KEY_LINE, unknown_key
from lake.systems.rollup import Shape

_KEYS = ("grain", "keys", "measures", "column", "sums", "rows")
_COLUMN = re.compile(r'("(?:[^"]|"")+"|[A-Za-z_]\w*)\s+(.+?)\s*=\s*(.+)')
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
VERSION = 1


@dataclass(frozen=True)
class Column:
    """A column of `day_rows`: `type` is DuckDB's, `path` the names from the table's column on."""

    name: str
    type: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class SqlRollup:
    """One file. `sql` is all of it, so that DuckDB's line numbers are the file's."""

    path: Path
    description: str
    shape: Shape
    columns: tuple[Column, ...]
    sql: str


def read_rollup_file(path: Path) -> SqlRollup:
    """Raises BadData with file and line where the header is not as it has to be."""
    sql = _text(path)
    first, *rest = sql.splitlines() or [""]
    if not first.startswith("-- "):
        raise _wrong(path, 1, "a description: `-- What the rows are`", first)
    headers: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(rest, 2):
        if not line.startswith("--"):
            break
        if match := KEY_LINE.fullmatch(line.rstrip()):
            key, text = match[1], match[2].strip()
            if key not in _KEYS:
                continue  # prose may have a colon
            if key != "column" and key in headers:
                raise _wrong(path, number, f"one line {key!r}", "a second one")
            if not text:
                raise _wrong(path, number, f"a value of {key!r}", "none")
            headers.setdefault(key, []).append((number, text))
    for key in ("grain", "keys", "measures"):
        if key not in headers:
            raise _wrong(path, 1, f"a header with a line `-- {key}: …`", f"no {key}")
    keys, measures = _names(path, headers, "keys"), _names(path, headers, "measures")
    sums, rows = _names(path, headers, "sums"), _names(path, headers, "rows")
    for key, names in (("sums", sums), ("rows", rows)):
        if other := [name for name in names if name not in measures]:
            raise _wrong(
                path,
                headers[key][0][0],
                "names of measures: " + ", ".join(measures),
                ", ".join(other),
            )
    shape = Shape(
        kind="sql",
        version=VERSION,
        grain=headers["grain"][0][1],
        keys=keys,
        measures=measures,
        sums=sums,
        rows=rows,
        sql_sha256=hashlib.sha256(sql.encode()).hexdigest(),
    )
    columns = tuple(_column(path, *line) for line in headers.get("column", []))
    return SqlRollup(path, first.removeprefix("-- ").strip(), shape, columns, sql)


def _text(path: Path) -> str:
    """The file, without keys that are none."""
    try:
        sql = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(path, 1, "a text in UTF-8", error) from error
    except OSError as error:
        raise BadData(
            "a rollup's file can't be read",
            where=path,
            found=cause(error),
            remedy="correct its permissions, or remove it",
        ) from error
    if unknown := unknown_key(sql.splitlines(), _KEYS):
        raise _wrong(path, unknown[0], f"one of {', '.join(_KEYS)}", unknown[1])
    return sql


def _names(path: Path, headers: dict[str, list[tuple[int, str]]], key: str) -> tuple[str, ...]:
    if key not in headers:
        return ()
    line, text = headers[key][0]
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len({name.lower() for name in names}) < len(names):
        raise _wrong(path, line, "different names, by comma", text)
    if "day" in map(str.lower, names):
        raise _wrong(path, line, "names without `day`, a column that every rollup has", text)
    return names


def _column(path: Path, line: int, text: str) -> Column:
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise _wrong(path, line, "column: NAME TYPE = PATH", text)
    name = match[1].strip('"').replace('""', '"')
    return Column(name, match[2], _path(path, line, match[3].strip()))


def _path(path: Path, line: int, text: str) -> tuple[str, ...]:
    names, at = [], 0
    while True:
        match = _NAME.match(text, at)
        if match is None:
            break
        names.append(match[1].replace('""', '"') if match[1] else match[2].strip())
        at = match.end()
        if at == len(text):
            return tuple(names)
        if text[at] != ".":
            break
        at += 1
    raise _wrong(path, line, 'a path such as response.latencyMs or "a.b".c', text)


def _wrong(path: Path, line: int, expected: str, found: Any) -> BadData:
    return BadData(
        "wrong header of a rollup",
        where=f"{path}, line {line}",
        expected=expected,
        found=found,
        remedy="correct the file; docs/reference.md describes the header",
    )
