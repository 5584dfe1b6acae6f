"""Fields of documents by their paths, as SQL.

Belongs here: a field's value, and the identifiers in it. Does not: which paths (configuration), the
fields of trends, which have types (lake.trends.fitting).

A path is names joined by dots. Where something above a field is of several types over the days, it
is text on some ranges of days and a STRUCT on others: it is read as JSON, which both can become.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lake.query.kinds import folded, quoted_name, quoted_text
from lake.query.merged import LIST, Node
from lake.query.numbers import on_days_of_numbers
from lake.query.spellings import spellings
from lake.query.tables import Table

_EVERY = "[*]"  # of a path within JSON: each element


def field_value(tree: Node, path: str) -> str | None:
    """SQL of the value; None where no day has the field."""
    text, node, as_json = "", tree, False
    for name in path.split("."):
        if folded(name) not in node.members:
            return None
        as_json |= node.varying
        node = node.members[folded(name)]
        text = _in_json(text, f"$.{_key(node)}") if as_json else _member(text, node)
    return text


@dataclass(frozen=True)
class Identifiers:
    """The identifiers in a field, as SQL: a text (VARCHAR), or a LIST of texts (`several`).

    `types`: those of the values; numbers only `on_days`, a condition ("": all days). A DOUBLE is
    shown as MongoDB prints it: 7 for 7.0.
    """

    text: str
    several: bool = False
    types: frozenset[str] = frozenset()
    on_days: str = ""

    @property
    def first(self) -> str:
        """VARCHAR, or NULL."""
        if self.several:
            return f"list_filter({self.all}, lambda id_: id_ <> '')[1]"
        return self._shown(self.text)

    @property
    def all(self) -> str:
        """VARCHAR[]."""
        if not self.several:
            return f"[{self.first}]"
        shown = self._shown("id_")
        return (
            f"list_transform({self.text}, lambda id_: {shown})"
            if "DOUBLE" in self.types
            else self.text
        )

    def any_of(self, values: Sequence[str]) -> str:
        """The condition that one of these is in it: a text as it is, a number in any spelling."""
        condition = self._has(map(quoted_text, values))
        types = sorted(self.types)
        texts = [text for v in values for text in spellings(v, types, in_json=self.several)]
        if not texts:
            return condition
        number = self._has(texts)
        number = f"({self.on_days}) AND {number}" if self.on_days else number
        return f"({condition} OR {number})"

    def _has(self, texts: Iterable[str]) -> str:
        listed = ", ".join(dict.fromkeys(texts))
        return (
            f"list_has_any({self.text}, [{listed}])"
            if self.several
            else f"{self.text} IN ({listed})"
        )

    def _shown(self, text: str) -> str:
        return (
            f"regexp_replace({text}, '^(-?[0-9]+)[.]0$', '\\1')" if "DOUBLE" in self.types else text
        )


def identifiers_at(table: Table, path: str) -> Identifiers | None:
    """Those at a path, which goes through arrays as a query of MongoDB does; None where no day has
    the field.
    """
    text, node, names, days = "", table.tree, path.split("."), sorted(table.manifests)
    while names and not (node.varying or LIST in node.variants):
        name = folded(names.pop(0))
        if name not in node.members:
            return None
        node = node.members[name]
        text = _member(text, node)
    if not names and LIST not in node.variants:
        on_days = on_days_of_numbers([node], days)
        types = frozenset(node.variants)
        return Identifiers(f"CAST({text} AS VARCHAR)", types=types, on_days=on_days)
    places = dict(_places(node, names, "$"))
    parts = [_texts(text, place) for place in places]
    if not parts:
        return None
    return Identifiers(
        f"list_concat({', '.join(parts)}, [])",
        several=True,
        types=frozenset(name for there in places.values() for name in there.variants),
        on_days=on_days_of_numbers(places.values(), days),
    )


def _places(node: Node, names: Sequence[str], place: str) -> Iterator[tuple[str, Node]]:
    """Paths within the value's JSON, and what is there."""
    if node.item:
        yield from _places(node.item, names, place + _EVERY)
    if not node.variants.keys() - {LIST}:
        return
    if not names:
        yield place, node
    elif member := node.members.get(folded(names[0])):
        yield from _places(member, names[1:], f"{place}.{_key(member)}")


def _texts(text: str, place: str) -> str:
    if place == "$":  # a scalar beside arrays, which is no JSON
        is_array = f"json_type(TRY_CAST({text} AS JSON)) = 'ARRAY'"
        return f"[if({is_array}, NULL, CAST({text} AS VARCHAR))]"
    value = _in_json(text, place)
    return value if _EVERY in place else f"[{value}]"


def _member(text: str, node: Node) -> str:
    if not text:
        return quoted_name(node.name)
    return f"struct_extract({text}, {quoted_text(node.name)})"


def _key(node: Node) -> str:
    return f'"{node.name}"'


def _in_json(text: str, place: str) -> str:
    return f"json_extract_string(TRY_CAST({text} AS JSON), {quoted_text(place)})"
