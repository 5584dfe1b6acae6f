"""Values of expressions, before the statement runs.

Belongs here: DuckDB's parsed form, constants, instants, days of time zones. Does not: what a
statement reads (question).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import duckdb

from lake.query.kinds import quoted_text

NOW = frozenset({"current_date", "current_timestamp", "localtimestamp"})


def parsed_sql(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """The statements as DuckDB parses them; `error` where it can't."""
    # No parameters: the first makes DuckDB import pandas.
    row = connection.execute(f"SELECT json_serialize_sql({quoted_text(sql)})").fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    return parsed


class Constants:
    """Values of expressions without columns, as DuckDB computes them.

    With `now_by_name` names such as current_date, which DuckDB parses as columns, are what they
    are where no column has the name, and `statement`, in its parsed form, gives it to nothing of
    its own; `now` has those that a value was computed of.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        params: Any,
        *,
        now_by_name: bool = False,
        statement: Any = None,
    ) -> None:
        self._connection = connection
        self._params = params if isinstance(params, Mapping) else {}
        self._by_name = now_by_name
        self._statement = statement
        self.now: set[str] = set()

    def value(self, expression: Mapping[str, Any]) -> Any:
        """Raises UnknownValueError where it has none before the statement runs."""
        names = set()
        for part in parts_of(expression):
            if (name := _now_of(part)) and self._now_by_name:
                self.now.add(name)
            elif part.get("class") in ("COLUMN_REF", "SUBQUERY", "STAR", "WINDOW"):
                raise UnknownValueError
            if part.get("class") == "PARAMETER":
                names.add(part["identifier"])
        if not names <= self._params.keys():
            raise UnknownValueError
        if expression.get("class") == "PARAMETER":
            given = self._params[expression["identifier"]]
            if type(given) is date:  # a datetime is one, too, and DuckDB may change its zone
                return given
        question = parsed_sql(self._connection, "SELECT 1")
        statement = question["statements"][0]
        statement["node"]["select_list"] = [{**expression, "alias": ""}]
        statement["named_param_map"] = [
            {"key": name, "value": place + 1} for place, name in enumerate(sorted(names))
        ]
        try:
            cursor = self._connection.cursor()
            text = quoted_text(json.dumps(question))
            (sql,) = cursor.execute(f"SELECT json_deserialize_sql({text}::JSON)").fetchone() or ()
            values = {name: self._params[name] for name in names}
            (value,) = cursor.execute(sql, values or None).fetchone() or ()
        except (duckdb.Error, ValueError) as error:
            raise UnknownValueError from error
        return value

    def parsed(self, sql: str) -> Mapping[str, Any]:
        """The expression, from its text."""
        (expression,) = parsed_sql(self._connection, f"SELECT {sql}")["statements"][0]["node"][
            "select_list"
        ]
        return expression  # type: ignore[no-any-return]

    def moment(self, expression: Mapping[str, Any]) -> datetime:
        """What a DATE is compared with, as an instant. Raises UnknownValueError.

        With another TimeZone than UTC, which a session can set, DuckDB compares a DATE with
        instants by that zone's midnights, and CURRENT_DATE is that zone's.
        """
        if not self._in_utc:
            raise UnknownValueError
        return moment_of(self.value(expression))

    @cached_property
    def _now_by_name(self) -> bool:
        return self._by_name and not _renames_now(self._statement)

    @cached_property
    def _in_utc(self) -> bool:
        row = self._connection.execute("SELECT current_setting('TimeZone')").fetchone()
        return bool(row and row[0] == "UTC")

    def call(self, function: str, *arguments: Mapping[str, Any]) -> Any:
        """The value of a function of expressions. Raises UnknownValueError."""
        placeholders = ", ".join("NULL" for _ in arguments)
        expression = self.parsed(f"{function}({placeholders})")
        return self.value({**expression, "children": list(arguments)})


def _now_of(part: Mapping[str, Any]) -> str:
    """The name of an instant that the expression is by itself; "" if it is none."""
    names = part.get("column_names") or []
    name = names[0].lower() if len(names) == 1 else ""
    return name if part.get("class") == "COLUMN_REF" and name in NOW else ""


def _renames_now(parsed: Any) -> bool:
    """Whether the statement gives a name of NOW to something of its own."""
    return any(
        name.lower() in NOW
        for part in parts_of(parsed)
        for key, value in part.items()
        if key not in ("column_names", "function_name")
        for name in (value if isinstance(value, list) else [value])
        if isinstance(name, str)
    )


class UnknownValueError(Exception):
    """A value that only the running statement has."""


def moment_of(value: Any) -> datetime:
    """What a DATE is compared with, as an instant. Raises UnknownValueError for what is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise UnknownValueError from error
        if value.tzinfo:
            raise UnknownValueError  # whether the offset counts depends on the type it is cast to
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise UnknownValueError


def parts_of(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a parsed statement."""
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            below: Iterable[Any] = part.values()
        else:
            below = part if isinstance(part, list) else ()
        # Most are names, numbers and empty lists.
        pending += [value for value in below if value and isinstance(value, (dict, list))]
