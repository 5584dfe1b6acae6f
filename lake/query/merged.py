"""The days' schemas as one tree: which types each path has, on which days.

Belongs here: merging, the bounds on a table's width, the type that a range of days has in
common. Does not: SQL.

Each field of each distinct schema is visited once, whatever the number of days. A set of days
is an integer whose bit n stands for the n-th day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from lake.query.kinds import NOTHING, Kind, ListOf, Plain, Struct, folded, widest

STRUCT, LIST, TEXT = "struct", "list", "text"
REST = "_rest"  # of MongoDB's tables: what their typed columns can't hold
_BESIDE = frozenset({REST, "_raw"})  # what a table has beside the columns of fields
MAX_COLUMNS = 1000
MAX_MEMBERS = 256
_SPELLED_NAMES = 4000  # in all SELECTs of a statement, where names are without bound
_MAX_VARIANTS = 48  # bits of a BIGINT, with room


class Node:
    """A column, a STRUCT's member or a LIST's element over all days.

    `variants` maps each type that the path has (a type's name, STRUCT or LIST) to its days;
    decimals that one DECIMAL holds are one variant. `number` is the node's place among those
    with several variants, -1 for others. `special`: files can't be read as the table's type
    as they are, here or further down.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.days = 0
        self.variants: dict[str, int] = {}
        self.members: dict[str, Node] = {}
        self.item: Node | None = None
        self.number = -1
        self.special = False
        self.forms: dict[int, str] = {}
        self._class_of: dict[str, str] = {}
        self._next: dict[str | None, str | None] = {None: None}
        self._kind: Kind | None = None

    # --- merging -------------------------------------------------------------------------

    def add(self, kind: Kind, days: int) -> None:
        """Counts in that the path has this type on these days."""
        self.days |= days
        if kind == NOTHING:
            return
        variant = _variant(kind)
        self.variants[variant] = self.variants.get(variant, 0) | days
        if isinstance(kind, ListOf):
            self.item = self.item or Node("element")
            self.item.add(kind.item, days)
        elif isinstance(kind, Struct):
            self._add_members(kind.members, days)

    def _add_members(self, members: Iterable[tuple[str, Kind]], days: int) -> None:
        """A name that is new stands behind its neighbour of this schema."""
        before: str | None = None
        for name, kind in members:
            key = folded(name)
            if key not in self.members:
                self.members[key] = Node(name)
                self._next[key], self._next[before] = self._next[before], key
            self.members[key].add(kind, days)
            before = key

    def finish(self, bound: int, number_of_days: int) -> None:
        """Call once, after the last `add`: applies bounds, compares the days' types."""
        self._merge_decimals()
        ordered = list(self._in_order())
        kept = _commonest(self.members, ordered, bound, number_of_days)
        self.members = {key: self.members[key] for key in kept}
        below = [*self.members.values(), *([self.item] if self.item else [])]
        for node in below:
            node.finish(MAX_MEMBERS, number_of_days)
        self.forms = {mask: self._form(mask) for mask in self._masks()}
        rare = len(kept) < len(ordered)
        sources = {name: form for name, form in self._class_of.items() if name != form}
        self.special = self.varying or rare or bool(sources) or any(node.special for node in below)

    def _in_order(self) -> Iterator[str]:
        key = self._next[None]
        while key is not None:
            yield key
            key = self._next[key]

    def _merge_decimals(self) -> None:
        decimals = [name for name in self.variants if name.startswith("DECIMAL")]
        common = widest(decimals) if len(decimals) > 1 else None
        if common is None or (common == "DOUBLE" and len(self.variants) <= _MAX_VARIANTS):
            return
        for name in decimals:
            self._class_of[name] = common
            days = self.variants.pop(name)
            self.variants[common] = self.variants.get(common, 0) | days

    # --- the type of a range -------------------------------------------------------------

    @property
    def varying(self) -> bool:
        """Whether ranges of days differ in type."""
        return len(self.variants) > 1

    def bit(self, kind: Kind) -> int:
        """The bit of a source's type in a mask of variants."""
        name = _variant(kind)
        return 1 << list(self.variants).index(self._class_of.get(name, name))

    @property
    def form(self) -> str:
        """The type over all days: a type's name, STRUCT, LIST or TEXT."""
        return self._form((1 << len(self.variants)) - 1)

    @property
    def kind(self) -> Kind:
        """The type over all days, where the node is not special."""
        if self._kind is None:
            self._kind = self._static_kind()
        return self._kind

    def _static_kind(self) -> Kind:
        match self.form:
            case "struct":
                return Struct(tuple((node.name, node.kind) for node in self.members.values()))
            case "list":
                assert self.item is not None  # noqa: S101  a LIST has items
                return ListOf(self.item.kind)
        return Plain(self.form) if self.variants else NOTHING

    def _form(self, mask: int) -> str:
        """What holds the values of these variants; of the commonest, where there is none."""
        names = [name for n, name in enumerate(self.variants) if mask >> n & 1]
        if not names:
            return max(self.variants, key=lambda v: self.variants[v].bit_count(), default="VARCHAR")
        if len(names) == 1:
            return names[0]
        return widest(names) or TEXT

    def form_on(self, days: int) -> str:
        """The type over these days."""
        return self._form(self.mask(days))

    def mask(self, days: int) -> int:
        """The variants on these days, as bits."""
        return sum(1 << number for number, had in enumerate(self.variants.values()) if had & days)

    def _masks(self) -> set[int]:
        """The sets of variants that a range of days can have."""
        masks = {0, (1 << len(self.variants)) - 1}
        following: dict[int, int] = {}  # variant to its next stretch, seen from `start`
        runs = self.runs()
        for start in reversed(range(len(runs))):
            following[runs[start][2]] = start
            mask = 0
            for variant in sorted(following, key=following.__getitem__):
                mask |= 1 << variant
                masks.add(mask)
        return masks

    def runs(self) -> list[tuple[int, int, int]]:
        """First day, last day and variant of each stretch of days with one type."""
        dated = sorted(
            (day, number)
            for number, days in enumerate(self.variants.values())
            for day in _numbers(days)
        )
        if not dated:
            return []
        starts = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(dated)) if a[1] != b[1])]
        ends = [*(start - 1 for start in starts[1:]), len(dated) - 1]
        return [(dated[a][0], dated[b][0], dated[a][1]) for a, b in zip(starts, ends, strict=True)]

    def names(self) -> Iterator[str]:
        """Folded, of all columns and of what is below them."""
        for key, node in self.members.items():
            yield key
            yield from node.names()
        if self.item:
            yield from self.item.names()

    def varying_nodes(self) -> Iterator[Node]:
        """This one and those below whose type depends on the range."""
        if self.varying:
            yield self
        for node in self.members.values():
            yield from node.varying_nodes()
        if self.item:
            yield from self.item.varying_nodes()


def merge(schemas: Mapping[Struct, int]) -> Node:
    """The tree of a table: its root's members are the columns.

    `schemas` has each distinct schema with its days, newest first: its order of columns is
    the familiar one.
    """
    root = Node("")
    for schema, days in schemas.items():
        root.add(schema, days)
    # Without `_rest` there is no other place for a rare name's values.
    beside = len(_BESIDE & root.members.keys())
    bound = MAX_COLUMNS + beside if REST in root.members else len(root.members)
    root.finish(bound, max(1, root.days.bit_count()))
    for number, node in enumerate(root.varying_nodes()):
        node.number = number
    return root


def _commonest(members: Mapping[str, Node], ordered: list[str], bound: int, days: int) -> list[str]:
    """Of too many names those of most days, in a tie the newest; in their order. `_rest`, which has
    the others' values, and `_raw` always.

    Each SELECT of a statement spells all names, and each day with rare names has its own: so
    names of a single day get the less room the more days there are.
    """
    if len(ordered) <= bound:
        return ordered
    by_days = sorted(ordered, key=lambda key: (key in _BESIDE, _weight(members[key])), reverse=True)
    several = sum(members[key].days.bit_count() > 1 for key in ordered)
    kept = set(by_days[: min(bound, max(several, _SPELLED_NAMES // days))])
    return [key for key in ordered if key in kept]


def _weight(node: Node) -> tuple[int, int]:
    return node.days.bit_count(), node.days.bit_length()


def _variant(kind: Kind) -> str:
    match kind:
        case Struct():
            return STRUCT
        case ListOf():
            return LIST
    return kind.name


def _numbers(days: int) -> Iterator[int]:
    while days:
        low = days & -days
        yield low.bit_length() - 1
        days ^= low
