"""The type NUMBER in headers of rollups and trends: a field's numbers, as MongoDB sums them.

Belongs here: which type of DuckDB the numbers have, SQL that reads a value by a header's type, or
a number as VARCHAR. Does not: headers, what is computed of the values.

MongoDB's `$sum` takes numbers of all types and nothing else. A cast of DuckDB's would take true
for 1 and the text '7' for 7, and an integer type would round 1.5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import duckdb

from lake.base.day import Day
from lake.query.casts import plain_text
from lake.query.kinds import Plain, decimal_digits, folded, parsed_type, quoted_name, widest
from lake.query.merged import Node

if TYPE_CHECKING:
    from duckdb.typing import DuckDBPyType

NUMBER, TEXT = "NUMBER", "VARCHAR"
_NOTHING = "BIGINT"  # the type of numbers where there is none
_MOST_SUMMED_DIGITS = 28  # of the 38 that a sum of decimals has
# A type that no table has stands for NUMBER where DuckDB reads a header's type.
# What a type follows is the name of a STRUCT's member.
_PLACE = re.compile(r'("(?:[^"]|"")*")|\bNUMBER\b(?=\s*(?:[],)[]|$))', re.IGNORECASE)
_STAND_IN = "bignum"


def number_type(names: Iterable[str]) -> str | None:
    """The type that takes the numbers among values of these types; None without a number.

    A DECIMAL leaves room for sums, else it is a DOUBLE.
    """
    numbers = [name for name in names if widest([name])]
    type_ = widest(numbers) if numbers else None
    digits = decimal_digits(type_ or "")
    return "DOUBLE" if digits and digits[0] > _MOST_SUMMED_DIGITS else type_


def read_as(value: str, type_: str, node: Node | None) -> str:
    """SQL of a value in a header's type, NULL where it does not fit.

    `node` has the types of the value, None where it is not there. A text that is no type stays
    one: DuckDB's own error names it.
    """
    if not has_numbers(type_):
        return f"TRY_CAST({value} AS {type_})"
    try:
        pattern = parsed_type(with_numbers_as(_STAND_IN, type_))
    except duckdb.Error:
        return f"TRY_CAST({value} AS {type_})"
    known, whole = _types(pattern, node)
    if known is None:
        return f"CAST(NULL AS {whole})"
    # A STRUCT without a member becomes one whose member is NULL.
    return f"TRY_CAST({value if known == whole else f'TRY_CAST({value} AS {known})'} AS {whole})"


def as_text(value: str, node: Node) -> str:
    """SQL of a field's value to be read as VARCHAR: equal numbers are one text, 5 for 5.0 and
    5.00, as they are over days of several types.
    """
    names = list(node.variants)
    if not any(name == "DOUBLE" or decimal_digits(name) for name in names):
        return value
    if len(names) == 1:
        return plain_text(value, Plain(names[0]))
    # The range of days decides on the column's type. A text stays: 1.10 may be a version.
    text = f"CAST({value} AS VARCHAR)"
    short = f"regexp_replace({text}, '^(-?[0-9]+)[.]0+$', '\\1')"
    short = f"regexp_replace({short}, '^(-?[0-9]+[.][0-9]*[1-9])0+$', '\\1')"
    return f"CASE typeof({value}) WHEN 'VARCHAR' THEN {text} ELSE {short} END"


def on_days_of_numbers(nodes: Collection[Node], days: Sequence[Day]) -> str:
    """A condition on the table's `day`: over days of several types numbers and what looks like them
    are text, and the day's own type decides. "" where all values are numbers, or none.
    """
    if len({bool(number_type([name])) for node in nodes for name in node.variants}) < 2:
        return ""
    stretches = [
        f"day BETWEEN DATE '{days[first]}' AND DATE '{days[last]}'"
        for node in nodes
        for first, last, variant in node.runs()
        if number_type([list(node.variants)[variant]])
    ]
    return " OR ".join(dict.fromkeys(stretches))


def has_numbers(type_: str) -> bool:
    """Whether a header's type is NUMBER, or has it within."""
    return any(not place[1] for place in _PLACE.finditer(type_))


def with_numbers_as(name: str, type_: str) -> str:
    """A header's type with a type of DuckDB's for NUMBER."""
    return _PLACE.sub(lambda place: place[1] or name, type_)


def _types(pattern: DuckDBPyType, node: Node | None) -> tuple[str | None, str]:
    """The type in which the value has only what fits (None: nothing does), and the header's."""
    match pattern.id:
        case "bignum":
            if number := number_type(node.variants if node else ()):
                # DuckDB casts a DECIMAL to the nearest DOUBLE by its text alone.
                is_wide = number == "DOUBLE" and node and any(map(decimal_digits, node.variants))
                return "VARCHAR" if is_wide else number, number
            return None if node and node.variants else _NOTHING, _NOTHING
        case "struct":
            mine = node.members if node else {}
            parts = [
                (name, *_types(part, mine.get(folded(name)))) for name, part in pattern.children
            ]
            kept = [(name, known) for name, known, _ in parts if known is not None]
            whole = [(name, whole) for name, _, whole in parts]
            return _struct(kept) if kept else None, _struct(whole)
        case "list":
            (_, part), *_ = pattern.children
            known, item = _types(part, node.item if node else None)
            return f"{known}[]" if known else None, f"{item}[]"
    return str(pattern), str(pattern)


def _struct(members: Iterable[tuple[str, str]]) -> str:
    return f"STRUCT({', '.join(f'{quoted_name(name)} {type_}' for name, type_ in members)})"
