"""Which types each column has over all days, and the Iceberg type that reads all of them.

Belongs here: merging manifests' schemas, Iceberg's promotions. Does not: field ids (schema).

Iceberg reads a file in the table's type and converts nothing but int to long, float to double and
a decimal to one of more digits and the same scale. A column of other types on other days has no
Iceberg type. Nor has a name that Iceberg or Spark can't tell from another path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lake.query.kinds import folded

if TYPE_CHECKING:
    from pyiceberg.types import IcebergType

STRUCT, LIST, MAP, NOTHING = "struct", "list", "map", "null"
_PLAIN = {
    "bool": "boolean",
    "int8": "int",
    "int16": "int",
    "int32": "int",
    "int64": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "binary": "binary",
    "large_binary": "binary",
    "date32[day]": "date",
}
_DECIMAL = re.compile(r"decimal128\((\d+), ?(-?\d+)\)")
_TIMES = ("timestamp", "timestamptz")
MILLISECONDS = (
    "UTC, stored in milliseconds: Iceberg for Java finds no rows when compared by =, > or >="
)
_PROMOTED = ({"int", "long"}, {"float", "double"})


@dataclass
class ColumnShape:
    """A column, member, element, key or value over all days.

    `names` are its spellings: names that differ only in case are one column. `kinds` are the
    types of Iceberg that it has, or what has none, with an example's day. `milliseconds`: a time
    with that unit in some file. `clash` is the path from which it can't be distinguished.
    """

    names: dict[str, None] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    members: dict[str, ColumnShape] = field(default_factory=dict)
    parts: dict[str, ColumnShape] = field(default_factory=dict)
    milliseconds: bool = False
    clash: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The newest spelling."""
        return next(reversed(self.names))

    def add(self, described: Mapping[str, Any], day: str) -> None:
        """Counts in a field of a manifest's schema; days come in their order."""
        name = described.get("type", "")
        self.kinds[_kind(name)] = day
        self.milliseconds |= name.startswith("timestamp[ms")
        for member in described.get("fields", ()):
            self.add_member(member, day)
        for part, key in (("element", "item"), ("key", "key"), ("value", "value")):
            if key in described:
                self.parts.setdefault(part, ColumnShape()).add(described[key], day)

    def add_member(self, described: Mapping[str, Any], day: str) -> None:
        """The same for a column or a STRUCT's member."""
        member = self.members.setdefault(folded(described["name"]), ColumnShape())
        member.names.pop(described["name"], None)
        member.names[described["name"]] = None
        member.add(described, day)

    def form(self) -> str | None:
        """The type that reads all days; None where there is none."""
        if self.clash:
            return None
        kinds = set(self.kinds) - {NOTHING}
        if len(kinds) == 1:
            (kind,) = kinds
            return None if kind.startswith("?") else kind
        for promoted in _PROMOTED:
            if kinds and kinds <= promoted:
                return "long" if "long" in kinds else "double"
        digits = [_DECIMAL.fullmatch(kind) for kind in kinds]
        scales = {match[2] for match in digits if match}
        if kinds and all(digits) and len(scales) == 1:
            return f"decimal128({max(int(m[1]) for m in digits if m)}, {scales.pop()})"
        return None

    def left_out(self, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Path and reason of what has no Iceberg type."""
        if self.clash:
            other = " > ".join(self.clash)
            yield ".".join(path), f"indistinguishable from {other} in Iceberg or Spark"
        elif (form := self.form()) is None:
            types = ", ".join(f"{kind.lstrip('?')} ({day})" for kind, day in self.kinds.items())
            yield ".".join(path), types
        elif form == STRUCT:
            for member in self.members.values():
                yield from member.left_out((*path, member.name))
        else:
            for name, part in self.parts.items():
                if form in (LIST, MAP):
                    yield from part.left_out((*path, name))

    def typed(
        self, path: tuple[str, ...] = (), *, parts: bool = True
    ) -> Iterator[tuple[tuple[str, ...], ColumnShape]]:
        """Everything below that has a type, with its path as Iceberg has it; with `parts` what is
        in LISTs and MAPs, too.
        """
        form = self.form()
        below = {member.name: member for member in self.members.values()} if form == STRUCT else {}
        if parts and form in (LIST, MAP):
            below = self.parts
        for name, shape in below.items():
            if shape.form() is not None:
                yield (*path, name), shape
                yield from shape.typed((*path, name), parts=parts)

    def doc(self) -> str | None:
        """The comment on a column or member."""
        return MILLISECONDS if self.milliseconds and self.form() in _TIMES else None

    def type(self, ids: Iterator[int]) -> IcebergType | None:
        """The type without what has none; None where nothing is left."""
        from pyiceberg.types import ListType, MapType, NestedField, StructType  # noqa: PLC0415

        form = self.form()
        if form == STRUCT:
            members = []
            for member in self.members.values():
                number = next(ids)
                if type_ := member.type(ids):
                    members.append(
                        NestedField(number, member.name, type_, required=False, doc=member.doc())
                    )
            return StructType(*members) if members else None
        if form == LIST:
            number, element = next(ids), self.parts["element"].type(ids)
            if element is None:
                return None
            return ListType(number, element, element_required=False)
        if form == MAP:
            numbers = next(ids), next(ids)
            key, value = (self.parts[name].type(ids) for name in ("key", "value"))
            if key is None or value is None:
                return None
            return MapType(numbers[0], key, numbers[1], value, value_required=False)
        return _primitive(form) if form else None


def merged(schemas: Iterable[tuple[str, Iterable[Mapping[str, Any]]]]) -> ColumnShape:
    """The tables' columns as members; `schemas` are days with their manifests' schemas."""
    root = ColumnShape(kinds={STRUCT: ""})
    for day, schema in schemas:
        for column in schema:
            root.add_member(column, day)
    _find_clashes(root)
    return root


def _find_clashes(root: ColumnShape) -> None:
    """A column `a.b` is, for Iceberg, the member b of a; names that differ in the case of letters
    beyond ASCII are two columns for the lake, and one for Spark. The deepest path stays.
    """
    seen: dict[str, tuple[str, ...]] = {}
    for path, shape in sorted(root.typed(), key=lambda item: -len(item[0])):
        other = seen.setdefault(".".join(path).lower(), path)
        if other != path:
            shape.clash = other


def milliseconds_of(root: ColumnShape) -> list[str]:
    """Paths of the columns, and of members of STRUCTs alone, with times in milliseconds: conditions
    on what is in a LIST or MAP are not compared with statistics.
    """
    return [".".join(path) for path, shape in root.typed(parts=False) if shape.doc()]


def _kind(name: str) -> str:
    if name in (STRUCT, LIST, MAP, NOTHING) or _DECIMAL.fullmatch(name):
        return name
    if name.startswith("timestamp["):
        if name.startswith("timestamp[ns"):
            return f"?{name}"
        return "timestamptz" if "tz=" in name else "timestamp"
    return _PLAIN.get(name, f"?{name}")


def _primitive(form: str) -> IcebergType:
    from pyiceberg import types  # noqa: PLC0415

    if decimal := _DECIMAL.fullmatch(form):
        return types.DecimalType(int(decimal[1]), int(decimal[2]))
    return {
        "boolean": types.BooleanType(),
        "int": types.IntegerType(),
        "long": types.LongType(),
        "float": types.FloatType(),
        "double": types.DoubleType(),
        "string": types.StringType(),
        "binary": types.BinaryType(),
        "date": types.DateType(),
        "timestamp": types.TimestampType(),
        "timestamptz": types.TimestamptzType(),
    }[form]
