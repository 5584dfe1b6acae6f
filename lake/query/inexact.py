"""Values that Python can't hold, as DuckDB's text.

Belongs here: which types these are, and the statement that has text in their place. Does not:
running it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import duckdb

from lake.query.kinds import quoted_name

INTERVAL = "INTERVAL"
TYPES = frozenset({INTERVAL, "TIMESTAMP_NS", "TIME_NS"})
"""A month is not a number of days, and Python's times have no nanoseconds."""
_TIMES = TYPES - {INTERVAL}
# In a type's text, not where it is a member's name or a value of an ENUM.
_TYPE = re.compile(rf"(?<![\w\"'])(?:{'|'.join(sorted(TYPES))})(?=$|[,)\[])")
# Without any of these an INTERVAL is a difference of instants: days and less, which Python holds.
_MONTHS = re.compile(r"\b(?:age|interval|to_\w+)\b", re.IGNORECASE)


def as_text(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    types: Collection[str],
    *,
    understood: bool,
) -> str:
    """The statement that has just run on the connection, its columns of these types as text; ""
    where that makes no difference, for it takes as long again.

    One that is not `understood` may read intervals of tables that the session has made.
    """
    columns = [(name, str(kind)) for name, kind, *_ in connection.description or ()]
    inexact = {kind for _, text in columns for kind in _TYPE.findall(text)}.intersection(types)
    if understood and not _MONTHS.search(query):
        inexact.discard(INTERVAL)
    statements = connection.extract_statements(query) if inexact else []
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        return ""
    names = [f"c{number}" for number, _ in enumerate(columns)]
    shown = [
        f"{_text(inside, kind, inexact)} AS {quoted_name(name)}"
        for inside, (name, kind) in zip(names, columns, strict=True)
    ]
    return (
        f"SELECT {', '.join(shown)} FROM (\n{_without_end(query)}\n) "  # noqa: S608  quoted
        f"AS answer({', '.join(names)})"
    )


def _without_end(query: str) -> str:
    """The statement up to its semicolon; comments are no tokens, and places are of bytes."""
    text = query.encode()
    ends = [place for place, _ in duckdb.tokenize(query) if text[place : place + 1] == b";"]
    return text[: ends[0]].decode() if ends else query


def _text(column: str, kind: str, inexact: Collection[str]) -> str:
    shown = _TYPE.sub(lambda match: "VARCHAR" if match[0] in inexact else match[0], kind)
    if shown == kind:
        return column
    text = f"CAST({column} AS {shown})"
    return f"replace({text}, ' ', 'T')" if kind in _TIMES else text  # ISO 8601
