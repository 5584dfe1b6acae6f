"""The catalog file: written at once, and how it is opened.

Belongs here: both. Does not: the tables' SQL (lake.query), comments, the file's age.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb

from lake.base.causes import cause
from lake.base.clock import utc_now
from lake.base.errors import PermanentError, UsageError
from lake.catalog.age import age_statements
from lake.catalog.comments import comment_statements
from lake.config.settings import Settings
from lake.process.scratch import replaced_at_once
from lake.query import Lake
from lake.query.connection import httpfs_path, load_httpfs, macro_statements
from lake.query.growth import NO_STARTS, starts_literal, starts_macro
from lake.query.kinds import quoted_text
from lake.query.s3 import addressing, authority_statements, with_endpoint

_LOCKED = "Could not set lock on file"


def write_catalog(lake: Lake, file: Path) -> None:
    """Creates or replaces the file at once: views, range macros and the macros of sql/macros, with
    comments; `lake_catalog` has the file's age, `lake_catalog_missing()` the days that it lacks or
    has as they were.

    It holds no data and no credentials. Raises UsageError where the file is something else
    than a catalog, LakeError where a manifest can't be read.
    """
    statements = [*macro_statements()]  # first: views of levels are bound to some of them
    tables = lake.tables()
    statements += [text for table in tables for text in table.definitions()]
    starts = {t.dataset: starts_literal(t) for t in tables if not t.rolled_up}
    statements.append(starts_macro({k: v for k, v in starts.items() if v != NO_STARTS}))
    statements += ["BEGIN", *(c for table in tables for c in comment_statements(lake, table))]
    statements += [*age_statements(lake, tables, utc_now()), "COMMIT"]
    try:
        _refuse_other_files(file)
        with replaced_at_once(file) as part:
            _write(part, statements, s3=lake.settings.lake.root.startswith("s3://"))
    except (OSError, duckdb.IOException, duckdb.TransactionException) as error:
        raise PermanentError(
            "the catalog can't be written",
            where=file,
            found=cause(error),
            remedy="free some space there, or write it to another directory",
        ) from error


def _write(part: Path, statements: list[str], *, s3: bool) -> None:
    with contextlib.closing(duckdb.connect(str(part.absolute()))) as connection:
        if s3:
            load_httpfs(connection)  # views are bound when they are made; nothing is read
        for statement in statements:
            connection.execute(statement)


def _refuse_other_files(file: Path) -> None:
    """Somebody's database is not to be replaced by views."""
    if not file.exists():
        return
    try:
        with contextlib.closing(duckdb.connect(str(file.absolute()), read_only=True)) as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    except duckdb.Error as error:
        if _LOCKED in str(error):
            raise PermanentError(
                "another program has opened the file for writing",
                where=file,
                found=cause(error),
                remedy="close it there, or open it with READ_ONLY: then it can be replaced",
            ) from error
        raise _other(file, cause(error)) from error
    if rows:
        raise _other(file, "the tables " + ", ".join(name for (name,) in rows))


def _other(file: Path, found: object) -> UsageError:
    return UsageError(
        "the file exists and is not a catalog",
        where=file,
        expected="a new file, or one that `lake catalog` wrote",
        found=found,
        remedy="name another file",
    )


def opening_statements(settings: Settings, file: Path) -> list[str]:
    """The SQL that opens the catalog in any DuckDB from 1.5 on, one statement per item.

    Credentials are to be filled in: KEY_ID '…', SECRET '…'.
    """
    root, statements = settings.lake.root, []
    if root.startswith("s3://"):
        bucket = root.removeprefix("s3://").partition("/")[0]
        region = f"REGION {quoted_text(settings.s3.region)}, " if settings.s3.region else ""
        statements = [
            "INSTALL httpfs",
            "LOAD httpfs",
            *authority_statements(settings.s3),
            f"CREATE SECRET lake (TYPE s3, SCOPE {quoted_text(f's3://{bucket}')}, "
            f"{addressing(with_endpoint(settings.s3), bucket)}{region}KEY_ID '…', SECRET '…')",
        ]
    attach = f"ATTACH {quoted_text(str(file))} AS lake (READ_ONLY)"
    return [*statements, attach, "USE lake", "SET TimeZone = 'UTC'"]


def opening_script(settings: Settings, file: Path) -> str:
    """What one types to read the catalog: the statements, with comments."""
    lines = [f"-- {file} has the lake's tables. In any DuckDB from 1.5 on:"]
    for statement in opening_statements(settings, file):
        lines.append(f"{statement};")
        if statement == "LOAD httpfs":
            lines.append(f"--   offline: LOAD {quoted_text(str(httpfs_path()))};")
        if statement.startswith("CREATE SECRET"):
            lines.append("--   or, with the extension aws: PROVIDER credential_chain for the keys")
    return "\n".join(lines)
