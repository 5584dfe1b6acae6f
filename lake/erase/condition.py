"""The condition of an erasure: one DuckDB expression over the dataset's columns.

Belongs here: what is allowed in it, binding it to a table. Does not: which rows it matches.

It is parsed in parentheses by DuckDB itself, and what DuckDB has parsed has to be that expression
and nothing else: no text of it can end the parentheses or begin a statement of its own. It may
depend on the row alone, so that a plan, the run and a run after a kill agree.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

import duckdb

from lake.base.errors import UsageError
from lake.privacy.applying import key_id
from lake.query.expressions import parts_of
from lake.query.failures import Hint, explained
from lake.query.kinds import folded, quoted_name
from lake.query.tables import Table

_WHERE = "--where"
_EXPECTED = "one DuckDB expression over the dataset's columns, such as user_id = 'kim'"
_CLAUSES = (
    "where_clause", "group_expressions", "group_sets", "having", "qualify", "sample", "modifiers",
)  # fmt: skip
# By their number of arguments; DuckDB's catalog has them as stable. age(x) is current_date - x.
_OF_NOW = {"age": 1, "current_localtime": 0, "current_localtimestamp": 0}
_REFUSED = {
    "SUBQUERY": "a sub-query",
    "WINDOW": "a window function",
    "STAR": "* or COLUMNS(…)",
    "PARAMETER": "a parameter (? or $name)",
    "POSITIONAL_REFERENCE": "the number of a column (#1)",
    "DEFAULT": "DEFAULT",
}


@dataclass(frozen=True)
class Condition:
    """`columns` are the top-level columns that it reads, `paths` all references to them, folded.
    Its text may have personal data in it: it is not shown by `repr`.
    """

    text: str = field(repr=False)
    columns: tuple[str, ...]
    paths: frozenset[tuple[str, ...]] = frozenset()

    @property
    def sql(self) -> str:
        """In parentheses; a comment at the end of the text ends before the last one."""
        return f"(\n{self.text}\n)"

    def keyed_hash(self, key: str) -> dict[str, str]:
        """HMAC-SHA-256 of the text, and the key's id: a guess can't be tried without the key.
        Empty without a key.
        """
        if not key:
            return {}
        digest = hmac.digest(key.encode(), self.text.encode(), hashlib.sha256).hex()
        return {"hmac_sha256": digest, "key_id": key_id(key)}


def parse(
    connection: duckdb.DuckDBPyConnection, table: Table, text: str, hint: Hint | None = None
) -> Condition:
    """Raises UsageError where it is no such expression, or not true or false."""
    if not text.strip():
        raise UsageError("the condition is empty", where=_WHERE, expected=_EXPECTED)
    expression = _expression(connection, text)
    columns = {folded(name): name for name in table.column_names}
    names: list[str] = []
    paths: set[tuple[str, ...]] = set()
    for part in parts_of(expression):
        kind = part.get("class")
        if kind in _REFUSED:
            raise _refused(_REFUSED[str(kind)])
        if kind == "FUNCTION":
            _require_stable(connection, str(part["function_name"]), len(part.get("children") or ()))
        if kind == "COLUMN_REF":
            path = [folded(name) for name in part["column_names"]]
            if path[0] == folded(table.dataset) and path[0] not in columns:
                path = path[1:]
            if path and path[0] in columns:
                names.append(columns[path[0]])
                paths.add(tuple(path))
            elif path:
                _require_stable(connection, path[0])  # such as current_date, which has no brackets
    condition = Condition(text, tuple(dict.fromkeys(names)), frozenset(paths))
    with explained(_WHERE, hint):
        statement = f"DESCRIBE SELECT {condition.sql} AS c FROM {_named(table)}"  # noqa: S608
        row = connection.cursor().execute(statement).fetchone()
        connection.cursor().execute(f"SELECT 1 FROM {_named(table)} WHERE {condition.sql}")  # noqa: S608
    kind = str(row[1]) if row else ""
    if kind != "BOOLEAN":
        raise UsageError(
            "the condition is neither true nor false",
            where=_WHERE,
            expected=_EXPECTED,
            found=f"an expression of type {kind}",
        )
    return condition


def _named(table: Table) -> str:
    return f"({table.empty_statement()}) AS {quoted_name(table.dataset)}"


def _expression(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    statement = f"SELECT (\n{text}\n)"
    row = connection.cursor().execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed["error"]:
        message = str(parsed.get("error_message", "no expression")).strip()
        raise UsageError(
            "the condition is not a SQL expression", where=_WHERE, expected=_EXPECTED, found=message
        )
    nodes = [statement["node"] for statement in parsed["statements"]]
    node = nodes[0]
    alone = (
        len(nodes) == 1
        and node["type"] == "SELECT_NODE"
        and node["from_table"]["type"] == "EMPTY"
        and len(node["select_list"]) == 1
        and not node["cte_map"]["map"]
        and not any(node.get(clause) for clause in _CLAUSES)
    )
    if not alone:
        raise _refused("more than one expression")
    expression: dict[str, Any] = node["select_list"][0]
    return expression


def _require_stable(connection: duckdb.DuckDBPyConnection, name: str, arguments: int = 0) -> None:
    """Raises UsageError for what has another value each time, such as random() and now()."""
    if _OF_NOW.get(name.lower()) == arguments:
        raise _refused(f"{name}, which depends on the current time")
    row = connection.cursor().execute(
        "SELECT any_value(stability) FROM duckdb_functions() WHERE lower(function_name) = lower(?) "
        "AND stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')",
        [name],
    ).fetchone()  # fmt: skip
    if row and row[0]:
        raise _refused(f"{name}, whose value is another one each time")


def _refused(found: str) -> UsageError:
    return UsageError(
        "not a condition of an erasure",
        where=_WHERE,
        expected=_EXPECTED,
        found=found,
        remedy="write the values themselves; `lake query` finds them",
    )
