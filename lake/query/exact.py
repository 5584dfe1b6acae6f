"""What the table's columns do not hold, put into `_rest`.

Belongs here: SQL that finds integers and decimals which a DOUBLE rounds and values under names
that have no column, and writes them as canonical Extended JSON. Does not: the casts themselves.

A document is rebuilt from a view by merging `_rest` over the typed columns, so the rounded
number in the column gives way to the exact one. That is not exact for a column that is text
over several types (scalars of different types, sub-documents beside scalars): the view has
the value's text, and `_rest` does not repeat the typed value. What `_rest` has of a
path in the file is exact already and stays. Nothing of this is computed unless `_rest` is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from lake.query.casts import member_of, number_as
from lake.query.kinds import (
    NOTHING,
    Kind,
    ListOf,
    Plain,
    Struct,
    folded,
    quoted_name,
    quoted_text,
    sql_type,
)
from lake.query.merged import LIST, STRUCT, Node
from lake.query.texts import Text, choose, joined

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", "HUGEINT")
_NOTHING: Text = ("'{}'",)
_NEVER: Text = ("false",)
_BINARY = {"uuid": "04", "binary3": "03"}  # what the text of a VARCHAR stands for

Value = tuple[str, Kind]  # a name and its type in the file


class Rest:
    """The column `_rest` of the days that one `read_parquet` reads; `value` is the file's."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._patches: list[Text] = []

    def add_column(self, name: str, value: str, source: Kind, node: Node) -> None:
        """What the column of that name can't show of the file's value."""
        self._patches += self._of_column(value, source, node, (name,))

    def add_rare(self, columns: Sequence[Value], values: Sequence[str]) -> None:
        """The file's columns that the table does not have."""
        flat, nested = _by_class(zip(columns, values, strict=True))
        for scalar, same in flat:
            names = quoted_text(json.dumps([name for (name, _), _ in same]))
            listed = f"from_json({names}, '[\"VARCHAR\"]')"
            pairs = f"MAP({listed}, [{', '.join(value for _, value in same)}])"
            self._patches.append((self._flat(pairs, scalar, ()),))
        for (name, kind), value in nested:
            self._patches.append((self._whole(value, kind, (name,)),))

    def text(self) -> Text:
        """The expression."""
        patches = [patch for patch in self._patches if patch != _NOTHING]
        if not patches:
            return (self._value,)
        start = f"nullif(CAST(json_merge_patch(coalesce({self._value}, '{{}}'), "
        return (start, *joined(", ", patches), ") AS VARCHAR), '{}')")

    def _of_column(self, value: str, source: Kind, node: Node, path: tuple[str, ...]) -> list[Text]:
        if not node.special or source == NOTHING:
            return []
        if not isinstance(source, Struct):
            lossy = _is_lossy(value, source, node, 0)
            if lossy == _NEVER:
                return []
            exact = f"THEN {self._whole(value, source, path)} ELSE '{{}}' END"
            return [("CASE WHEN ", *lossy, f" {exact}")]
        patches: list[Text] = []
        rare: list[Value] = []
        for name, kind in source.members:
            if member := node.members.get(folded(name)):
                inside = member_of(value, name)
                patches += self._of_column(inside, kind, member, (*path, name))
            else:
                rare.append((name, kind))
        patches += self._rare_members(value, rare, path)
        bit = node.bit(source)
        return [
            choose(node, lambda form, p=patch: p if form == STRUCT else _NOTHING, bit)  # type: ignore[misc]
            for patch in patches
        ]

    def _rare_members(
        self, value: str, rare: Sequence[Value], path: tuple[str, ...]
    ) -> Iterable[Text]:
        flat, nested = _by_class((member, "") for member in rare)
        for scalar, same in flat:
            type_ = sql_type(scalar)
            members = ", ".join(f"{quoted_name(name)} {type_}" for (name, _), _ in same)
            pairs = f"CAST(CAST({value} AS STRUCT({members})) AS MAP(VARCHAR, {type_}))"
            yield (self._flat(pairs, scalar, path),)
        for (name, kind), _ in nested:
            yield (self._whole(member_of(value, name), kind, (*path, name)),)

    def _flat(self, pairs: str, kind: Plain, path: tuple[str, ...]) -> str:
        """The patch of a MAP of names to scalars of one type."""
        had = f"json_keys({self._value}, {_pointer(path)})" if path else f"json_keys({self._value})"
        new = f"NOT list_contains(coalesce({had}, []), e.key)"
        entries = f"list_filter(map_entries({pairs}), lambda e: e.value IS NOT NULL AND {new})"
        value = f"CAST({_canonical('e.value', kind, 0)} AS VARCHAR)"
        each = f"lambda e: concat(CAST(to_json(e.key) AS VARCHAR), ':', {value})"
        members = f"coalesce(array_to_string(list_transform({entries}, {each}), ','), '')"
        before = "".join(f"{json.dumps(name, ensure_ascii=False)}:{{" for name in path)
        whole = f"concat({quoted_text('{' + before)}, t, {quoted_text('}' * (len(path) + 1))})"
        return (
            f"list_transform([{members}], lambda t: CASE t WHEN '' THEN '{{}}' ELSE {whole} END)[1]"
        )

    def _whole(self, value: str, kind: Kind, path: tuple[str, ...]) -> str:
        """The patch of one value; '{}' where it is NULL."""
        had = f"json_extract({self._value}, {_pointer(path)})"
        exact = _canonical(value, kind, 0)
        if isinstance(kind, Struct):
            patch = f"json_merge_patch({exact}, coalesce({had}, '{{}}'))"
        else:
            patch = f"coalesce({had}, {exact})"
        for name in reversed(path):
            patch = f"json_object({quoted_text(name)}, {patch})"
        return f"CASE WHEN {value} IS NOT NULL THEN {patch} ELSE '{{}}' END"


def _by_class(
    values: Iterable[tuple[Value, str]],
) -> tuple[list[tuple[Plain, list[tuple[Value, str]]]], list[tuple[Value, str]]]:
    """Scalars by their type, and what is nested."""
    flat: dict[Plain, list[tuple[Value, str]]] = {}
    nested = []
    for value in values:
        kind = value[0][1]
        if isinstance(kind, Plain) and kind != NOTHING:
            flat.setdefault(kind, []).append(value)
        elif kind != NOTHING:
            nested.append(value)
    return list(flat.items()), nested


def _pointer(path: tuple[str, ...]) -> str:
    steps = (name.replace("~", "~0").replace("/", "~1") for name in path)
    return quoted_text("".join(f"/{step}" for step in steps))


def _is_lossy(value: str, source: Kind, node: Node, depth: int) -> Text:
    """A condition that is never NULL: the column of the range does not hold all of the value."""
    if not node.special or source == NOTHING:
        return _NEVER
    bit = node.bit(source)
    match source:
        case Struct(members):
            conditions: list[Text] = []
            for name, kind in members:
                inside = member_of(value, name)
                if member := node.members.get(folded(name)):
                    conditions.append(_is_lossy(inside, kind, member, depth))
                elif kind != NOTHING:
                    conditions.append((f"{inside} IS NOT NULL",))
            possible = [condition for condition in conditions if condition != _NEVER]
            inner = joined(" OR ", possible) if possible else _NEVER
            return choose(node, lambda form: inner if form == STRUCT else _NEVER, bit)
        case ListOf(item) if node.item:
            inner = _is_lossy(f"x{depth}", item, node.item, depth + 1)
            if inner == _NEVER:
                return _NEVER
            some_item = (f"coalesce(len(list_filter({value}, lambda x{depth}: ", *inner, "))")
            lossy_item = (*some_item, " > 0, false)")
            return choose(node, lambda form: lossy_item if form == LIST else _NEVER, bit)
        case Plain(name) if name in _WHOLE or name.startswith("DECIMAL"):
            back = name if name.startswith("DECIMAL") else "HUGEINT"
            double = number_as(value, name, "DOUBLE")
            rounded = f"(TRY_CAST({double} AS {back}) IS DISTINCT FROM {value})"
            return choose(node, lambda form: (rounded,) if form == "DOUBLE" else _NEVER, bit)
    return _NEVER


def _canonical(value: str, kind: Kind, depth: int) -> str:
    """Canonical Extended JSON, NULL where the value is NULL."""
    match kind:
        case Struct(members):
            pairs = ", ".join(
                f"{quoted_text(name)}, {_canonical(member_of(value, name), part, depth)}"
                for name, part in members
            )
            # A merge patch leaves out what is null, as a document leaves out what is absent.
            text = f"json_merge_patch('{{}}', json_object({pairs}))"
        case ListOf(part):
            item = _canonical(f"x{depth}", part, depth + 1)
            return f"to_json(list_transform({value}, lambda x{depth}: {item}))"
        case Plain("VARCHAR", "objectId"):
            text = f"json_object('$oid', {value})"
        case Plain("VARCHAR", tag) if tag in _BINARY:
            text = _binary(f"unhex(replace({value}, '-', ''))", _BINARY[tag])
        case Plain("BOOLEAN" | "VARCHAR"):
            return f"to_json({value})"
        case Plain("TIMESTAMP WITH TIME ZONE"):
            number = f"json_object('$numberLong', CAST(epoch_ms({value}) AS VARCHAR))"
            text = f"json_object('$date', {number})"
        case Plain("BLOB"):
            text = _binary(value, "00")
        case _:
            text = f"json_object({quoted_text(_number_tag(kind))}, {_digits(value, kind)})"
    return f"CASE WHEN {value} IS NOT NULL THEN {text} END"


def _binary(value: str, subtype: str) -> str:
    inner = f"json_object('base64', base64({value}), 'subType', '{subtype}')"
    return f"json_object('$binary', {inner})"


def _number_tag(kind: Kind) -> str:
    name = sql_type(kind)
    if name == "DOUBLE":
        return "$numberDouble"
    return "$numberDecimal" if name.startswith("DECIMAL") else "$numberLong"


def _digits(value: str, kind: Kind) -> str:
    text = f"CAST({value} AS VARCHAR)"
    if sql_type(kind) != "DOUBLE":
        return text
    return (
        f"CASE {text} WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' "
        f"WHEN 'nan' THEN 'NaN' ELSE {text} END"
    )
