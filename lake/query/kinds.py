"""Types of columns as manifests describe them.

Belongs here: reading a manifest's schema, DuckDB's names of types, which number type holds
others. Does not: what the days have in common (merged), casts, files.

Names that differ only in case are one name, as in SQL.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import duckdb

from lake.base.errors import BadData

if TYPE_CHECKING:
    from duckdb.typing import DuckDBPyType

_PLAIN = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "date32[day]": "DATE",
}
_DECIMAL = re.compile(r"(?:decimal128|DECIMAL)\((\d+), ?(-?\d+)\)")
# Digits before the point that an integer type needs at most, narrow types first.
_DIGITS = {
    "UTINYINT": 3,
    "TINYINT": 3,
    "USMALLINT": 5,
    "SMALLINT": 5,
    "UINTEGER": 10,
    "INTEGER": 10,
    "BIGINT": 19,
    "UBIGINT": 20,
    "HUGEINT": 39,
}
_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_FLOATING = frozenset({"FLOAT", "DOUBLE"})
_MOST_DIGITS = 38
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class Plain:
    """A type without parts that matter here, by DuckDB's name.

    `tag` is the Arrow field's metadata `bson`: what the text of a VARCHAR stands for.
    """

    name: str
    tag: str = ""


@dataclass(frozen=True)
class Struct:
    """Named members."""

    members: tuple[tuple[str, Kind], ...]


@dataclass(frozen=True)
class ListOf:
    """Items of one kind."""

    item: Kind


Kind = Plain | Struct | ListOf
NOTHING = Plain("nothing")  # a column that is NULL in every row


def kind_of(described: Mapping[str, Any]) -> Kind:
    """The kind of a column (or member, or item) of `Manifest.schema`. Raises BadData."""
    name = described.get("type")
    if name == "struct":
        return Struct(tuple((member["name"], kind_of(member)) for member in described["fields"]))
    if name == "list":
        return ListOf(kind_of(described["item"]))
    if name == "map":
        return Plain(f"MAP({sql_type(kind_of(described['key']))}, {_value(described)})")
    if name == "null":
        return NOTHING
    return Plain(_plain_name(str(name)), described.get("metadata", {}).get("bson", ""))


def _value(described: Mapping[str, Any]) -> str:
    return sql_type(kind_of(described["value"]))


def _plain_name(name: str) -> str:
    if name in _PLAIN:
        return _PLAIN[name]
    if name.startswith("timestamp["):
        return "TIMESTAMP WITH TIME ZONE" if "tz=" in name else "TIMESTAMP"
    if decimal := _DECIMAL.fullmatch(name):
        return f"DECIMAL({decimal[1]},{decimal[2]})"
    raise BadData(
        "a manifest names a type that no table has",
        expected=", ".join([*_PLAIN, "timestamp[…]", "decimal128(…)", "struct, list, map, null"]),
        found=name,
        remedy="export the day again with --force",
    )


def sql_type(kind: Kind) -> str:
    """The kind as DuckDB writes it."""
    match kind:
        case Struct(members):
            inner = ", ".join(f"{quoted_name(name)} {sql_type(part)}" for name, part in members)
            return f"STRUCT({inner})"
        case ListOf(item):
            return f"{sql_type(item)}[]"
    return "VARCHAR" if kind == NOTHING else kind.name


def widest(names: Iterable[str]) -> str | None:
    """The number type that takes values of all these, None where one is not a number."""
    distinct = sorted(set(names))
    numbers = [_digits(name) for name in distinct]
    if any(number is None for number in numbers):
        return None
    if _FLOATING.intersection(distinct):
        return "DOUBLE" if len(distinct) > 1 else distinct[0]
    if _DIGITS.keys() >= set(distinct):
        return reduce(_wider_integer, distinct)
    whole = max(before for before, _ in filter(None, numbers))
    scale = max(after for _, after in filter(None, numbers))
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= _MOST_DIGITS else "DOUBLE"


def _wider_integer(kind: str, other: str) -> str:
    """`one` or `other` where it takes both, else a wider one."""
    if kind == other:
        return kind
    narrow, wide = sorted((kind, other), key=list(_DIGITS).index)
    if wide in _SIGNED and (narrow in _SIGNED or _DIGITS[narrow] < _DIGITS[wide]):
        return wide
    if narrow not in _SIGNED and wide not in _SIGNED:
        return wide
    return next(name for name in _SIGNED if _DIGITS[name] > _DIGITS[wide])


def _digits(name: str) -> tuple[int, int] | None:
    """Digits before and after the point at most; None for anything that is not a number."""
    if name in _DIGITS:
        return _DIGITS[name], 0
    if name in _FLOATING:
        return 0, 0
    decimal = decimal_digits(name)
    return (decimal[0] - decimal[1], decimal[1]) if decimal else None


def decimal_digits(name: str) -> tuple[int, int] | None:
    """All digits of a DECIMAL, and those behind the point; None for another type."""
    decimal = _DECIMAL.fullmatch(name)
    return (int(decimal[1]), int(decimal[2])) if decimal else None


def folded(name: str) -> str:
    """The same for names that SQL takes for one: DuckDB ignores the case of A to Z only."""
    return name.translate(_LOWER)


def by_name(members: Iterable[tuple[str, Kind]]) -> dict[str, Kind]:
    """The kinds by folded name."""
    return {folded(name): kind for name, kind in members}


def quoted_name(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


@cache
def parsed_type(text: str) -> DuckDBPyType:
    """A type as SQL writes it. Raises duckdb.Error where the text is none.

    By a connection of its own: an error in the default one would abort its caller's transaction.
    """
    with closing(duckdb.connect()) as connection:
        return duckdb.sqltype(text, connection=connection)
