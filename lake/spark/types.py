"""Types of columns as Spark writes them.

Belongs here: names of types, quoting. Does not: which types the days have in common
(lake.query.merged).
"""

from __future__ import annotations

import re

from lake.base.errors import BadData
from lake.query.kinds import NOTHING, Kind, ListOf, Plain, Struct
from lake.query.merged import LIST, STRUCT, TEXT, Node

_NAMES = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "TINYINT",
    "SMALLINT": "SMALLINT",
    "INTEGER": "INT",
    "BIGINT": "BIGINT",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INT",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "STRING",
    "BLOB": "BINARY",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")
_MAP = re.compile(r"MAP\(([A-Z ]+), ([A-Z ]+)\)")
# Arrow writes a column of no value as 32-bit integers, and Spark reads it as nothing else.
_NO_VALUE = "INT"


def spark_type(kind: Kind) -> str:
    """The type with which Spark reads what a file has as `kind`. Raises BadData."""
    match kind:
        case Struct(members):
            inner = ", ".join(f"{quoted_name(name)}: {spark_type(part)}" for name, part in members)
            return f"STRUCT<{inner}>"
        case ListOf(item):
            return f"ARRAY<{spark_type(item)}>"
    return _NO_VALUE if kind == NOTHING else _plain(kind.name)


def type_of(node: Node) -> str:
    """The type that all days have in common. Raises BadData."""
    if node.form == STRUCT:
        inner = ", ".join(f"{quoted_name(m.name)}: {type_of(m)}" for m in node.members.values())
        return f"STRUCT<{inner}>"
    if node.form == LIST and node.item:
        return f"ARRAY<{type_of(node.item)}>"
    return "STRING" if node.form == TEXT or not node.variants else _plain(node.form)


def has_no_value(kind: Kind) -> bool:
    """Whether the kind, or a part of it, is of no value at all."""
    match kind:
        case Struct(members):
            return any(has_no_value(part) for _, part in members)
        case ListOf(item):
            return has_no_value(item)
    return kind == NOTHING


def is_a_map(kind: Kind) -> bool:
    """Whether it has keys."""
    return isinstance(kind, Plain) and kind.name.startswith("MAP")


def _plain(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    if _DECIMAL.fullmatch(name):
        return name
    if (pair := _MAP.fullmatch(name)) and {*pair.groups()} <= _NAMES.keys():
        return f"MAP<{_NAMES[pair[1]]}, {_NAMES[pair[2]]}>"
    raise BadData(
        "a column has a type that has no name in Spark",
        expected=", ".join([*_NAMES, "DECIMAL(…), STRUCT, LIST, MAP of scalars"]),
        found=name,
        remedy="query the table with DuckDB",
    )


def quoted_name(name: str) -> str:
    """An identifier of Spark SQL."""
    return "`" + name.replace("`", "``") + "`"


def quoted_text(text: str) -> str:
    """A string of Spark SQL, where backslashes escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
