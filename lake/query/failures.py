"""What DuckDB's errors mean to the one who asked.

Belongs here: DuckDB's exceptions to the lake's. Does not: asking.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from lake.base.errors import (
    LakeError,
    Missing,
    PermanentError,
    Refused,
    TransientError,
    UsageError,
)

_WRONG_SQL = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.SyntaxException,
    duckdb.NotImplementedException,
    duckdb.InvalidTypeException,
)
# What DuckDB puts before the cause of an error that comes while rows are fetched.
_PENDING = "Attempting to execute an unsuccessful or closed pending query result\nError: "
_CONNECTING = ("Could not establish connection", "Could not connect", "Connection error")


@contextmanager
def explained(where: str, hint: str | None = None) -> Iterator[None]:
    """Raises UsageError for wrong SQL; Refused, Missing, TransientError or PermanentError
    for what could not be read or computed. `hint` is the remedy for wrong SQL.
    """
    try:
        yield
    except _WRONG_SQL as error:
        raise UsageError("the SQL is wrong", found=_message(error), remedy=hint) from error
    except duckdb.Error as error:
        raise _failed(error, where) from error


def _failed(error: duckdb.Error, where: str) -> LakeError:
    message, status = _message(error), getattr(error, "status_code", 0)
    if not isinstance(error, duckdb.IOException) and ".parquet" not in message:
        return PermanentError("the query failed", found=message)
    kind, what, remedy = _failed_read(message, status)
    # Which place of the SQL made DuckDB read is of no help.
    return kind(what, where=where, found=message.partition("\n\nLINE ")[0], remedy=remedy)


def _failed_read(message: str, status: int) -> tuple[type[LakeError], str, str]:
    """Class, what happened, and the remedy."""
    if status in (401, 403):
        remedy = "check the credentials and that they may read and list there"
        return Refused, "S3 refused", remedy
    if "NoSuchBucket" in message:
        return Missing, "no such bucket", "create it or correct [lake] root"
    if status == 429 or status >= 500 or any(text in message for text in _CONNECTING):
        remedy = "check [s3] endpoint_url and region, and that the server is up; then try again"
        return TransientError, "S3 can't be read", remedy
    remedy = "`lake verify` tells which objects are missing or damaged"
    if status == 404 or "No files found" in message:
        return Missing, "an object is not there", remedy
    return PermanentError, "a read failed", remedy


def _message(error: duckdb.Error) -> str:
    """DuckDB's own words; they show the place in the SQL."""
    return str(error).rpartition(_PENDING)[2].strip()
