"""The database that a process's rollups share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import duckdb
import pytest

from lake.query.connection import _with_macros, macro_connection


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    """Not the one of other tests."""
    _with_macros.cache_clear()
    yield
    _with_macros.cache_clear()


def test_what_is_temporary_is_the_callers_own() -> None:
    with closing(macro_connection()) as first, closing(macro_connection()) as second:
        first.execute("CREATE TEMP TABLE rows AS SELECT 1 AS n")
        second.execute("CREATE TEMP TABLE rows AS SELECT 2 AS n")
        assert first.execute("FROM rows").fetchall() == [(1,)]
        assert second.execute("SELECT n, level_name('WARNING') FROM rows").fetchall() == [
            (2, "warn")
        ]


def test_limits_are_the_callers_own() -> None:
    """Two databases: that of another caller keeps its limits."""
    asked = "SELECT current_setting('threads'), current_setting('memory_limit')"
    with closing(macro_connection()) as usual:
        before = usual.execute(asked).fetchone()
        with closing(macro_connection(threads=None, memory="1GiB")) as limited:
            cores = duckdb.connect().sql("SELECT current_setting('threads')").fetchone()
            assert limited.execute(asked).fetchone() == (*cores, "1.0 GiB")
            assert limited.execute("SELECT level_name('WARNING')").fetchall() == [("warn",)]
        assert usual.execute(asked).fetchone() == before
        assert before
        assert before[0] == 1
        assert before[1] != "1.0 GiB"


def test_a_database_that_has_gone_is_opened_again() -> None:
    macro_connection().close()
    _with_macros(1, None).close()
    with closing(macro_connection()) as again:
        assert again.execute("SELECT level_name('WARNING')").fetchall() == [("warn",)]


class Invalid:
    """As after an internal error, of which DuckDB has none on request."""

    def cursor(self) -> Invalid:
        return self

    def execute(self, sql: str) -> None:
        raise duckdb.FatalException("the database has been invalidated")


def test_one_that_answers_nobody_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = [Invalid(), _with_macros(1, None)]

    def shared(threads: int | None, memory: str | None) -> object:
        assert (threads, memory) == (1, None)
        return databases[0]

    shared.cache_clear = lambda: databases.pop(0)  # type: ignore[attr-defined]
    monkeypatch.setattr("lake.query.connection._with_macros", shared)
    with closing(macro_connection()) as again:
        assert again.execute("SELECT 1").fetchall() == [(1,)]
