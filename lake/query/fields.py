"""Fields of documents by their paths, as SQL.

Belongs here: a field's value, and the identifiers in it. Does not: which paths (configuration), the
fields of trends, which have types (lake.trends.fitting).

A path is names joined by dots. Where something above a field is of several types over the days, it
is text on some ranges of days and a STRUCT on others: it is read as JSON, which both can become.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lake.query.kinds import folded, quoted_name, quoted_text
from lake.query.merged import LIST, Node

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

    `numbers`: it may be a DOUBLE's, which is shown as MongoDB prints it: 7 for 7.0.
    """

    text: str
    several: bool = False
    numbers: bool = False

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
        return f"list_transform({self.text}, lambda id_: {shown})" if self.numbers else self.text

    def any_of(self, values: Sequence[str]) -> str:
        """The condition that one of these is in it, as it is or as it is shown."""
        texts = ", ".join(map(quoted_text, values))
        if self.several:
            same = [f"list_has_any({text}, [{texts}])" for text in (self.text, self.all)]
        else:
            same = [f"{text} IN ({texts})" for text in (self.text, self.first)]
        return f"({' OR '.join(dict.fromkeys(same))})"

    def _shown(self, text: str) -> str:
        return f"regexp_replace({text}, '^(-?[0-9]+)[.]0$', '\\1')" if self.numbers else text


def identifiers_at(tree: Node, path: str) -> Identifiers | None:
    """Those at a path, which goes through arrays as a query of MongoDB does; None where no day has
    the field.
    """
    text, node, names = "", tree, path.split(".")
    while names and not (node.varying or LIST in node.variants):
        name = folded(names.pop(0))
        if name not in node.members:
            return None
        node = node.members[name]
        text = _member(text, node)
    if not names and LIST not in node.variants:
        return Identifiers(f"CAST({text} AS VARCHAR)", numbers="DOUBLE" in node.variants)
    places = dict(_places(node, names, "$"))
    parts = [_texts(text, place) for place in places]
    if not parts:
        return None
    return Identifiers(
        f"list_concat({', '.join(parts)}, [])", several=True, numbers=any(places.values())
    )


def _places(node: Node, names: Sequence[str], place: str) -> Iterator[tuple[str, bool]]:
    """Paths within the value's JSON, and whether a DOUBLE may be there."""
    if node.item:
        yield from _places(node.item, names, place + _EVERY)
    if not node.variants.keys() - {LIST}:
        return
    if not names:
        yield place, "DOUBLE" in node.variants
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
