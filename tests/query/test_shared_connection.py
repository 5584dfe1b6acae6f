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


def test_a_database_that_has_gone_is_opened_again() -> None:
    macro_connection().close()
    _with_macros().close()
    with closing(macro_connection()) as again:
        assert again.execute("SELECT level_name('WARNING')").fetchall() == [("warn",)]


class Invalid:
    """As after an internal error, of which DuckDB has none on request."""

    def cursor(self) -> Invalid:
        return self

    def execute(self, sql: str) -> None:
        raise duckdb.FatalException("the database has been invalidated")


def test_one_that_answers_nobody_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = [Invalid(), _with_macros()]

    def shared() -> object:
        return databases[0]

    shared.cache_clear = lambda: databases.pop(0)  # type: ignore[attr-defined]
    monkeypatch.setattr("lake.query.connection._with_macros", shared)
    with closing(macro_connection()) as again:
        assert again.execute("SELECT 1").fetchall() == [(1,)]
