"""SQL that turns a file's value into the type that the days of the query have in common.

Belongs here: the type to read a file with, expressions over one value. Does not: which types
are united (merged), files.

A value beside values of other types is plain text, so that `status = 'error'` finds it on any
day: numbers without trailing zeros (5, 5.0 and 5.00 are equal), true and false, times in ISO
8601, bytes in base64. A sub-document or an array beside scalars is JSON text.
"""

from __future__ import annotations

import re

from lake.query.kinds import (
    NOTHING,
    Kind,
    ListOf,
    Plain,
    Struct,
    by_name,
    folded,
    quoted_name,
    quoted_text,
    sql_type,
)
from lake.query.merged import LIST, STRUCT, TEXT, Node
from lake.query.texts import Text, choose, joined

_INSTANT = "'%Y-%m-%dT%H:%M:%S.%gZ'"
_FLOATING = ("FLOAT", "DOUBLE")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_EXACT_DIGITS = 15  # of an integer that is a double
_EXACT_SCALE = 22  # of a power of ten that is one


def read_type(node: Node, kind: Kind | None, *, with_rare: bool) -> Kind:
    """The type with which a file is read that has `kind` there, None where it has nothing.

    The reader fills in what is missing and leaves out members that are not named. Other
    differences are not left to it: it would compare `c < -3.5` in a file of integers as
    `c < -4`. So a STRUCT has the table's members, each of the file's type where days differ,
    and `with_rare` the file's own rare ones.
    """
    if not node.special:
        return node.kind
    # A STRUCT that is shown as text, beside other types, shows all its members.
    with_rare = with_rare or node.varying
    match kind:
        case Struct(members):
            mine = by_name(members)
            kept = [
                (member.name, read_type(member, mine.get(key), with_rare=with_rare))
                for key, member in node.members.items()
            ]
            rare = [part for part in members if folded(part[0]) not in node.members]
            return Struct((*kept, *(rare if with_rare else ())))
        case ListOf(item) if node.item:
            return ListOf(read_type(node.item, item, with_rare=with_rare))
    return NOTHING if kind is None else kind


def type_of(node: Node) -> Text:
    """DuckDB's name of the type that the days have in common."""
    return choose(node, lambda form: type_as(node, form))


def type_as(node: Node, form: str) -> Text:
    """DuckDB's name of one of the types that the path has."""
    if form == STRUCT:
        members = (
            (quoted_name(member.name), " ", *type_of(member)) for member in node.members.values()
        )
        return ("STRUCT(", *joined(", ", members), ")")
    if form == LIST and node.item:
        return (*type_of(node.item), "[]")
    return ("VARCHAR" if form == TEXT else form,)


def cast(value: str, source: Kind, node: Node, depth: int = 0) -> Text:
    """The expression `value`, read as `source`, in the type that the days have in common."""
    if not node.special:
        return (value,)
    if source == NOTHING:
        return ("CAST(NULL AS ", *type_of(node), ")")
    return choose(node, lambda form: _as(value, source, node, form, depth), node.bit(source))


def _as(value: str, source: Kind, node: Node, form: str, depth: int) -> Text:
    if form == TEXT:
        return (plain_text(value, source, depth),)
    match source:
        case Struct(members):
            return _as_struct(value, members, node, depth)
        case ListOf(item) if node.item:
            variable = f"v{depth}"
            inner_text = cast(variable, item, node.item, depth + 1)
            if inner_text == (variable,):
                return (value,)
            return (f"list_transform({value}, lambda {variable}: ", *inner_text, ")")
    return (value if sql_type(source) == form else number_as(value, sql_type(source), form),)


def number_as(value: str, source: str, form: str) -> str:
    """A number in another type. DuckDB casts a DECIMAL by a division of doubles, which is not the
    nearest double where one of the two is rounded itself; its reading of text is.
    """
    decimal = _DECIMAL.fullmatch(source)
    if form == "DOUBLE" and decimal:
        digits, scale = map(int, decimal.groups())
        if digits > _EXACT_DIGITS or scale > _EXACT_SCALE:
            return f"CAST(CAST({value} AS VARCHAR) AS DOUBLE)"
    return f"CAST({value} AS {form})"


def _as_struct(value: str, members: tuple[tuple[str, Kind], ...], node: Node, depth: int) -> Text:
    mine = by_name(members)
    inner: list[Text] = []
    same = len(members) == len(node.members)
    for key, member in node.members.items():
        inside = member_of(value, member.name)
        shown = cast(inside, mine[key], member, depth)
        same &= shown == (inside,)
        inner.append((f"{quoted_text(member.name)}: ", *shown))
    if same:
        return (value,)
    if not any(member.special for member in node.members.values()):
        return (f"CAST({value} AS ", *type_as(node, STRUCT), ")")
    return (f"CASE WHEN {value} IS NOT NULL THEN {{", *joined(", ", inner), "} END")


def member_of(value: str, name: str) -> str:
    """A STRUCT's member."""
    return f"struct_extract({value}, {quoted_text(name)})"


def plain_text(value: str, kind: Kind, depth: int = 0) -> str:
    """An expression of type VARCHAR, NULL where the value is NULL."""
    match kind:
        case Plain("VARCHAR"):
            return value
        case Plain(name) if name in _FLOATING:
            text = f"CAST({value} AS VARCHAR)"
            return (
                f"CASE WHEN {value} = trunc({value}) AND abs({value}) < 1e38 "
                f"THEN CAST(CAST({value} AS HUGEINT) AS VARCHAR) "
                f"WHEN isfinite({value}) THEN {text} "
                f"WHEN isnan({value}) THEN 'NaN' WHEN {value} > 0 THEN 'Infinity' "
                f"WHEN {value} < 0 THEN '-Infinity' END"
            )
        case Plain(name) if name.startswith("DECIMAL") and not name.endswith(",0)"):
            return f"rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.')"
        case Plain("TIMESTAMP WITH TIME ZONE"):
            return f"strftime({value} AT TIME ZONE 'UTC', {_INSTANT})"
        case Plain("TIMESTAMP"):
            return f"strftime({value}, {_INSTANT[:-2]}')"
        case Plain("BLOB"):
            return f"base64({value})"
        case Plain(name) if not name.startswith("MAP"):
            return f"CAST({value} AS VARCHAR)"
    return f"CAST({_json(value, kind, depth)} AS VARCHAR)"


def _json(value: str, kind: Kind, depth: int) -> str:
    """An expression of type JSON, NULL where the value is NULL.

    Members that are NULL are left out, items are not. Numbers and booleans are JSON's own,
    with all their digits; other scalars are strings of their plain text.
    """
    match kind:
        case Struct(members):
            pairs = ", ".join(
                f"{quoted_text(name)}, {_json(member_of(value, name), part, depth)}"
                for name, part in members
            )
            # A merge patch leaves out what is null.
            merged = f"json_merge_patch('{{}}', json_object({pairs}))"
            return f"CASE WHEN {value} IS NOT NULL THEN {merged} END"
        case ListOf(part):
            item = f"v{depth}"
            return (
                f"to_json(list_transform({value}, lambda {item}: {_json(item, part, depth + 1)}))"
            )
        case Plain(name) if name in _FLOATING:
            text = f"to_json({plain_text(value, kind)})"
            return f"CASE WHEN isfinite({value}) THEN to_json({value}) ELSE {text} END"
        case Plain("TIMESTAMP WITH TIME ZONE" | "TIMESTAMP" | "BLOB"):
            return f"to_json({plain_text(value, kind)})"
    return f"to_json({value})"
