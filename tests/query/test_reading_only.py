"""Only what reads is asked: the lake's objects are the same afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lake.base.errors import LakeError, UsageError
from lake.query import connect


@pytest.fixture
def lake(make_lake, table):
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1, 2], kind=["a", "b"]))
    return lake


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


_OUTWARD = [
    "COPY (SELECT 1) TO '{file}'",
    "/* so */ EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{file}'",
    "COPY (PIVOT events ON kind USING sum(n)) TO '{file}'",
    "SELECT 1; COPY (SELECT 1) TO '{file}'",
    "PREPARE later AS COPY (SELECT 1) TO '{file}'",
    "EXPORT DATABASE '{folder}/dump'",
    "ATTACH '{folder}/other.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FROM enable_logging(storage = 'file', storage_path = '{folder}/log')",
    "FROM enable_profiling(format = 'json', save_location = '{file}')",
    "FROM query('FROM enable_' || 'logging(storage = ''file'', storage_path = ''{folder}/log'')')",
    "FROM \"Query\" /* é ( */ (E'FROM enable\\x5flogging(storage_path = ''{folder}/log'')')",
    "FROM query('FROM query(''FROM enable_logging(storage_path = \"{folder}/log\")'')')",
    "FROM query($$FROM enable_logging(storage_path = '{folder}/log')$$)",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM range(1)'))",
    "UPDATE EXTENSIONS",
    # Offsets of DuckDB's tokens are in bytes.
    "/* " + "é" * 200 + " */ EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
]
# They reach the session, but none may set a file that DuckDB writes by itself, or load code.
_SETTINGS = [
    "SET log_query_path = '{file}'",
    "PRAGMA profiling_output = '{file}'",
    "PRAGMA enable_profiling = 'json'",
    "SET logging_storage = 'file'",
    "SET http_logging_output = '{file}'",
    "SET autoinstall_known_extensions = true",
    "SET autoload_known_extensions = true",
    "SET extension_directory = '{folder}'",
    "RESET allowed_configs",
]


@pytest.mark.parametrize("sql", _OUTWARD)
def test_nothing_is_written(lake, run, tmp_path: Path, sql: str) -> None:
    (file,) = tmp_path.rglob("data.parquet")
    before = _files(tmp_path)
    question = sql.format(file=file, folder=tmp_path)
    status, out, err = run("query", question, "--config", lake.config)
    assert (status, out) == (2, "")
    assert "only statements that read" in err
    assert "lake query SQL --parquet FILE" in err
    with connect(lake.settings) as session, pytest.raises(UsageError, match="only statements"):
        session.sql(question)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("sql", _SETTINGS)
def test_no_setting_makes_duckdb_write(lake, run, tmp_path: Path, sql: str) -> None:
    (file,) = tmp_path.rglob("data.parquet")
    before = _files(tmp_path)
    statement = sql.format(file=file, folder=tmp_path)
    assert run("query", statement, "--config", lake.config)[0] == 2
    with connect(lake.settings) as session:
        with pytest.raises(LakeError, match=r"configuration|only statements"):
            session.sql(statement)
        assert session.sql("SELECT sum(n) FROM events").fetchall() == [(3,)]
    assert _files(tmp_path) == before


def test_a_database_that_is_imported_writes_nothing(lake, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "load.sql").write_text("")
    for sql in (
        "COPY (SELECT 1) TO '{folder}/written.csv'",
        "FROM enable_logging(storage = 'file', storage_path = '{folder}/log')",
    ):
        (folder / "schema.sql").write_text(sql.format(folder=folder) + ";")
        before = _files(tmp_path)
        with connect(lake.settings) as session, pytest.raises(UsageError, match="only statements"):
            session.sql(f"IMPORT DATABASE '{folder}'")
        assert _files(tmp_path) == before


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT 1; SELECT 2", "found: 2 statements"),
        ("PIVOT events ON kind USING sum(n); FROM events", "found: 2 statements"),
        ("SET threads = 1", "found: SET"),
        ("CREATE TABLE mine AS SELECT 1", "found: CREATE"),
        ("CREATE TABLE mine(i INT); PIVOT events ON kind USING sum(n)", "found: CREATE"),
        ("CALL duckdb_functions()", "found: CALL"),
        ("-- nothing", "no SQL"),
    ],
)
def test_one_statement_that_reads(lake, run, sql: str, text: str) -> None:
    status, out, err = run("query", sql, "--config", lake.config)
    assert (status, out) == (2, "")
    assert text in err


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT n FROM events;", 2),
        ("FROM events", 2),
        ("TABLE events", 2),
        ("WITH e AS (FROM events) SELECT max(n) FROM e", 1),
        ("VALUES (1), (2), (3)", 3),
        ("PIVOT events ON kind USING sum(n)", 1),
        ("UNPIVOT (SELECT n, n + 1 AS m FROM events) ON n, m", 4),
        ("DESCRIBE events", 3),
        ("SUMMARIZE events", 3),
        ("SHOW TABLES", 1),
        ("PRAGMA table_info('events')", 3),
        ("-- why\nEXPLAIN FROM events", 1),
        ("EXPLAIN ANALYZE (SELECT n FROM events)", 1),
        ("EXPLAIN (ANALYZE, FORMAT json) SELECT n FROM events", 1),
        ("FROM query('FROM range(3)')", 3),
        ("FROM query($$SELECT 'it''s' FROM events$$)", 2),
        ("SELECT 'enable_logging(' AS enable_logging, 'query (' AS query FROM events", 2),
    ],
)
def test_what_reads(lake, run, sql: str, rows: int) -> None:
    status, out, err = run("query", sql, "--json", "--config", lake.config)
    assert (status, err) == (0, "")
    assert len(json.loads(out)) == rows


def test_a_notebook_may_write_to_the_session(lake) -> None:
    with connect(lake.settings) as session:
        session.sql("CREATE TEMP TABLE mine AS FROM events; SET threads = 1")
        session.sql("SET VARIABLE most = 2; SET TimeZone = 'Asia/Seoul'; RESET threads")
        assert session.sql("SELECT sum(n) FROM mine").fetchall() == [(3,)]
