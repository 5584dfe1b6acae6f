"""The memory and threads that the statements of a session may use.

Belongs here: when either changes. Does not: the amounts (connection), what a statement reads
(understanding). What the user has set stays.
"""

from __future__ import annotations

import re

import duckdb

from lake.query.connection import sorting_memory, usual_memory
from lake.query.kinds import quoted_text
from lake.query.small_objects import CONNECTIONS
from lake.query.time_axis import is_called

# A window function over a whole range: DuckDB would take most of the machine's memory for it.
_SORTS_THE_RANGE = re.compile(r"\bcounter_increase\b", re.IGNORECASE)


class Limits:
    """The limits of one new connection; `on_s3`: whether the lake's root is on S3."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, on_s3: bool) -> None:
        self._connection = connection
        self._usual_memory = self._setting("memory_limit")
        self._usual_threads = self._setting("threads")
        self._bounded = False  # whether memory is limited for a statement
        self._has_threads = not on_s3  # enough of them to wait for S3

    def bound_memory(self, query: str) -> None:
        """Until the next statement: rows are computed while they are fetched."""
        bounded = _SORTS_THE_RANGE.search(query) is not None or is_called(query)
        if bounded == self._bounded:
            return
        if not bounded:
            self._connection.execute(f"SET memory_limit = '{usual_memory()}'")
        elif self._setting("memory_limit") != self._usual_memory:
            return  # the user's own limit
        else:
            self._connection.execute(f"SET memory_limit = '{sorting_memory()}'")
        self._bounded = bounded

    def wait_for_s3(self) -> None:
        """A thread mostly waits for S3: with one a core most of a quarter is waiting. Where nothing
        is read there, more of them cost time.
        """
        if self._has_threads:
            return
        self._has_threads = True
        if self._setting("threads") == self._usual_threads:  # else the user's own
            self._connection.execute(f"SET threads = {max(CONNECTIONS, int(self._usual_threads))}")

    def _setting(self, name: str) -> str:
        query = f"SELECT current_setting({quoted_text(name)})"  # no parameter: pandas is imported
        row = self._connection.execute(query).fetchone()
        return str(row and row[0])
