"""Connections to DuckDB: what every session of this package begins with.

Belongs here: opening one, extensions, the statements of the macros, spill directories. Does not:
the lake's tables (session).
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path

import duckdb

from lake.base.errors import Missing
from lake.base.machine import memory_bytes
from lake.base.resources import resource_path
from lake.query.kinds import quoted_text

_CALLED = re.compile(r"\b(\w+)\(")
# An existing file is overwritten by some of these: an object of a lake in a directory, say.
_LOCKED = {
    "allow_community_extensions", "allow_extensions_metadata_mismatch",
    "allow_parser_override_extension", "allow_persistent_secrets", "allow_unredacted_secrets",
    "allow_unsigned_extensions", "allowed_configs", "autoinstall_extension_repository",
    "autoinstall_known_extensions", "autoload_known_extensions", "custom_extension_repository",
    "enable_logging", "enable_profiling", "extension_directories", "extension_directory",
    "http_logging_output", "lock_configuration", "log_query_path", "logging_storage",
    "profile_output", "profiling_output", "secret_directory",
}  # fmt: skip
_SPILL = "lake-query-"  # and the process, and random letters: a directory in TMPDIR
_SHARE = 0.8  # of the memory: DuckDB's own default, which does not see every limit
_SORTING = 1_000_000_000  # bytes; what is more is spilled. The process may take twice as much
_SORTING_SHARE = _SHARE / 2


def usual_memory() -> str:
    """DuckDB's `memory_limit`."""
    return f"{int(memory_bytes() * _SHARE)}B"


def sorting_memory() -> str:
    """The same for statements that sort or compare all rows of a range."""
    return f"{min(_SORTING, int(memory_bytes() * _SORTING_SHARE))}B"


def connect_duckdb(*, httpfs: bool = False) -> duckdb.DuckDBPyConnection:
    """In memory; nothing is downloaded, and nothing read from the user's DuckDB directory.

    `httpfs` loads that extension, as it came with its wheel: DuckDB would verify the signature of
    its 21 MB each time, for a tenth of a second. No other extension is loaded without that.
    """
    temporary = Path(tempfile.gettempdir())
    _remove_abandoned(temporary)
    spill = _spill_directory(temporary, os.getpid())
    connection = duckdb.connect(
        config={
            "allow_persistent_secrets": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(spill),
            "memory_limit": usual_memory(),
            "allow_unsigned_extensions": httpfs,
        }
    )
    if httpfs:
        load_httpfs(connection)
        # It takes the environment's keys, for all buckets, and duckdb_settings() would show them.
        for name in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
            connection.execute(f"SET GLOBAL {name} = ''")
        connection.execute("SET allow_unsigned_extensions = false")
        # Else each object has a TCP connection, and TLS handshake, of its own. For cursors, too.
        connection.execute("SET GLOBAL httpfs_connection_caching = true")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # for cursors, too
    return connection


def lock_settings(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on no statement sets where DuckDB writes files of its own, or what code it loads;
    not for its cursors, either. All other settings can be changed.
    """
    names = connection.execute("SELECT name FROM duckdb_settings()").fetchall()
    free = ", ".join(quoted_text(name) for (name,) in names if name not in _LOCKED)
    connection.execute(f"SET GLOBAL allowed_configs = [{free}]")
    connection.execute("SET GLOBAL lock_configuration = true")


def macro_connection(
    *, threads: int | None = 1, memory: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection with the macros, to an in-memory database that this process's callers share.

    What a caller registers or makes TEMP is its own. One thread: floats are added in one order, so
    the same rows give the same bytes; None: as many as there are cores. Callers share the `memory`
    (default: `usual_memory`). To open a database for each day, and to define the macros in it, took
    longer than a small day's statement.
    """
    try:
        connection = _with_macros(threads, memory).cursor()
        connection.execute("SELECT 1")
    except duckdb.Error:  # after an internal error of DuckDB the database answers nobody
        _with_macros.cache_clear()
        connection = _with_macros(threads, memory).cursor()
    return connection


@cache
def _with_macros(threads: int | None, memory: str | None) -> duckdb.DuckDBPyConnection:
    connection = connect_duckdb()
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    if memory is not None:
        connection.execute(f"SET memory_limit = {quoted_text(memory)}")
    connection.execute(in_one_transaction(macro_statements()))
    return connection


def in_one_transaction(statements: Iterable[str]) -> str:
    """All of them: macros are defined in half the time."""
    return "\n".join(["BEGIN;", *statements, "COMMIT"])


@cache
def _spill_directory(parent: Path, process: int) -> Path:
    """For DuckDB, which makes it when it needs it, for all users to read: it has rows. So it lies
    in one that this user alone can enter.
    """
    try:
        private = Path(tempfile.mkdtemp(prefix=f"{_SPILL}{process}-", dir=parent))
    except OSError:  # DuckDB reports it where it has to spill
        private = parent / f"{_SPILL}{process}"
    else:
        atexit.register(shutil.rmtree, private, ignore_errors=True)
    return private / "spilled"


@cache
def _remove_abandoned(parent: Path) -> None:
    """Removes spill directories of this user whose processes have ended."""
    for folder in parent.glob(f"{_SPILL}*"):
        process = folder.name.removeprefix(_SPILL).partition("-")[0]
        try:
            mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
        except FileNotFoundError:
            continue  # another process removes them, too
        if process.isdecimal() and mine and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def load_httpfs(connection: duckdb.DuckDBPyConnection) -> None:
    """Loads the extension from its wheel. Raises Missing."""
    path = httpfs_path()
    if not path.is_file():
        raise Missing(
            "DuckDB's httpfs extension is not there",
            where=path,
            expected=f"duckdb-extension-httpfs of DuckDB's version, {duckdb.__version__}",
            remedy="install monitoring-lake again: its requirements name both",
        )
    connection.execute(f"LOAD {quoted_text(str(path))}")


def httpfs_path() -> Path:
    """Where the wheel has the extension for this DuckDB."""
    package = Path(str(files("duckdb_extension_httpfs")))
    return package / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


@cache
def macro_statements() -> tuple[str, ...]:
    """The CREATE statements of sql/macros, each after those that it calls.

    DuckDB looks for what a table macro calls when it is created.
    """
    paths = sorted(resource_path("sql/macros").glob("*.sql"))
    texts = {path.stem: path.read_text("utf-8") for path in paths}
    called = {name: texts.keys() & set(_CALLED.findall(text)) for name, text in texts.items()}
    order = TopologicalSorter({name: names - {name} for name, names in called.items()})
    return tuple(texts[name] for name in order.static_order())
