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
# What reaches beyond the session; PREPARE would hide one of the others from EXECUTE.
_OUTWARD = {"ATTACH", "COPY", "COPY_DATABASE", "EXPORT", "LOAD", "PREPARE"}
_EXPLAIN = re.compile(
    r"explain\b\s*(?:analyze\b\s*)?(?:\(\s*(?:analyze|format)\b[^)]*\)\s*)?", re.IGNORECASE
)
_LOG_FILES = re.compile(r"\benable_logging\b", re.IGNORECASE)  # a SELECT can call it


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
        if statement.type.name in _OUTWARD:
            raise _refused(statement.type.name)
        if statement.type == duckdb.StatementType.EXPLAIN:
            _require_harmless_explain(connection, statement.query)
    _refuse_log_files(sql)


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
    _refuse_log_files(sql)
    return statements


def _require_harmless_explain(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """EXPLAIN ANALYZE runs what it explains."""
    begin = duckdb.tokenize(sql)[0][0]  # after comments
    explained = _EXPLAIN.sub("", sql[begin:], count=1)
    _reading(connection, explained)


def _refuse_log_files(sql: str) -> None:
    if _LOG_FILES.search(sql):
        raise _refused("enable_logging")


def _refused(found: str) -> UsageError:
    return UsageError(
        "only statements that read are allowed",
        expected=_READING,
        found=found,
        remedy="for a file: `lake query SQL --parquet FILE`, --arrow, --xlsx, or --csv > FILE",
    )
