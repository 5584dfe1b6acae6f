"""Which statements are allowed.

Belongs here: the distinction of statements that read from those that write. Does not: running them.
DuckDB can write to whatever it can read, and so can the credentials: what holds it back
from the lake's objects is that such statements are not run.
"""

from __future__ import annotations

import re

import duckdb

from lake.base.errors import UsageError

_READING = (
    "SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN, PRAGMA table_info"
)
# What stays in the session. PREPARE would hide another one from EXECUTE; of some kinds, such as
# UPDATE EXTENSIONS, DuckDB's Python module does not know the name.
_IN_SESSION = {
    "ALTER", "ANALYZE", "CALL", "CREATE", "CREATE_FUNC", "DELETE", "DETACH", "DROP", "EXPLAIN",
    "INSERT", "MERGE_INTO", "PRAGMA", "SELECT", "SET", "TRANSACTION", "UPDATE", "VACUUM",
    "VARIABLE_SET",
}  # fmt: skip
_EXPLAIN = re.compile(
    rb"explain\b\s*(?:analyze\b\s*)?(?:\(\s*(?:analyze|format)\b[^)]*\)\s*)?", re.IGNORECASE
)
# Functions that a SELECT can call: two write files, one runs a statement that is not seen here.
_WRITING = {"enable_logging", "enable_profiling", "json_execute_serialized_sql"}
_COMMENT, _OPERATOR = duckdb.token_type.comment, duckdb.token_type.operator
_QUERY = "query"  # runs its argument
_NAME = re.compile(r'"((?:[^"]|"")+)"|(\w+)')
_PLAIN_TEXT = re.compile(r"'((?:[^']|'')*)'\s*|\$(\w*)\$(.*)\$\2\$\s*", re.DOTALL)


def require_one_reading(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raises UsageError where the SQL is not one statement that reads; DuckDB's own errors."""
    statements = _reading(connection, sql)
    if not statements:
        raise UsageError("no SQL", expected="one SELECT statement", found=repr(sql))
    if len(statements) > 1:
        raise UsageError(
            "one statement at a time",
            found=f"{len(statements)} statements",
            remedy="run them one after the other, or combine their results with UNION ALL",
        )


def kinds_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """DuckDB's names of the statements' kinds, such as SELECT; nothing where the SQL is wrong."""
    try:
        return [statement.type.name for statement in connection.extract_statements(sql)]
    except duckdb.Error:
        return []


def refuse_outward(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raises UsageError for what writes files or loads code; DuckDB's own errors.

    The session's memory may be written to: CREATE TABLE, INSERT, SET.
    """
    for statement in connection.extract_statements(sql):
        if statement.type.name not in _IN_SESSION:
            raise _refused(statement.type.name.replace("???", "a statement of another kind"))
        if statement.type == duckdb.StatementType.EXPLAIN:
            _require_harmless_explain(connection, statement.query)
        _refuse_writing_functions(statement.query)  # IMPORT DATABASE has those of a file
    _refuse_writing_functions(sql)


def _reading(connection: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    """The statements, without what DuckDB adds. Raises UsageError for one that writes."""
    statements = [
        statement
        for statement in connection.extract_statements(sql)
        # PIVOT is preceded by the type that it makes of the values, which has no text.
        if statement.type != duckdb.StatementType.CREATE or statement.query
    ]
    for statement in statements:
        if statement.type == duckdb.StatementType.EXPLAIN:
            _require_harmless_explain(connection, statement.query)
        elif statement.type != duckdb.StatementType.SELECT:
            raise _refused(statement.type.name)
    _refuse_writing_functions(sql)
    return statements


def _require_harmless_explain(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """EXPLAIN ANALYZE runs what it explains."""
    begin = duckdb.tokenize(sql)[0][0]  # after comments; an offset in bytes
    explained = _EXPLAIN.sub(b"", sql.encode()[begin:], count=1)
    _reading(connection, explained.decode())


def _refuse_writing_functions(sql: str) -> None:
    """Raises UsageError for a call of one, also within the SQL that `query` is to run: that has to
    be a plain text, not one that is put together.
    """
    tokens = _tokens(sql)
    for place, name in enumerate(tokens):
        match = _NAME.match(name)
        called = (match[1] or match[2]).lower() if match else ""
        if tokens[place + 1 : place + 2] != ["("] or called not in {*_WRITING, _QUERY}:
            continue
        if called in _WRITING:
            raise _refused(called)
        argument, end = (*tokens[place + 2 : place + 4], "", "")[:2]
        text = _PLAIN_TEXT.fullmatch(argument)
        if text is None or end != ")":
            raise _refused("query(…) of a computed text")
        _refuse_writing_functions(text[3] or (text[1] or "").replace("''", "'"))


def _tokens(sql: str) -> list[str]:
    """As written; operators and brackets one by one and without the comments behind them."""
    text = sql.encode()
    starts = [(start, kind) for start, kind in duckdb.tokenize(sql) if kind != _COMMENT]
    ends = [*(start for start, _ in starts), len(text)][1:]
    return [
        text[start : start + 1 if kind == _OPERATOR else end].decode()
        for (start, kind), end in zip(starts, ends, strict=True)
    ]


def _refused(found: str) -> UsageError:
    return UsageError(
        "only statements that read are allowed",
        expected=_READING,
        found=found,
        remedy="for a file: `lake query SQL --parquet FILE`, --arrow, --xlsx, or --csv > FILE",
    )
